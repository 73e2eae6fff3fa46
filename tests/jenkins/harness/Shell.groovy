/* `sh`, truly run as Jenkins does: sh -xe on a file, in the workspace. */
class Shell {
  private final Build build
  private int number = 0

  Shell(Build build) { this.build = build }

  def run(Map named) {
    File here = new File(build.steps.here('sh'))
    File script = new File((String) build.scenario.folder, "sh-${++number}")
    script.text = named.script
    Map entry = [
      label: named.label, script: (String) named.script, agent: build.stages.findAll { it.label }?.last()?.label,
      timeouts: build.timeouts.findAll { it != null },
    ]
    build.commands << entry
    // A session of its own, so that an abort reaches whatever it started.
    ProcessBuilder builder = new ProcessBuilder('setsid', '-w', 'sh', '-c', 'echo $$ > "$0.pid"; exec sh -xe "$0"', script.path)
    builder.directory(here)
    builder.environment().putAll(build.env.all())
    builder.redirectErrorStream(true).redirectOutput(new File("${script.path}.log"))
    Process process = builder.start()
    stopped(process, script)
    entry.code = process.waitFor()
    build.say(new File("${script.path}.log").text)
    if (build.scenario.interrupt && named.label == build.scenario.interrupt.step && !build.scenario.interrupt.done) {
      build.scenario.interrupt.done = true
      boolean lost = build.scenario.interrupt.result == 'LOST'
      throw new Interrupted('interrupted', lost ? 'ABORTED' : (String) build.scenario.interrupt.result, lost)
    }
    if (named.returnStatus) { return entry.code }
    if (entry.code) { throw new Failed("script returned exit code ${entry.code}") }
  }

  /* Ends the process as Jenkins does on an abort, once what it started has said that it is under way. */
  private void stopped(Process process, File script) {
    if (!build.scenario.interrupt) { return }
    File hanging = new File((String) build.scenario.interrupt.when)
    while (process.alive) {
      if (hanging.exists()) {
        hanging.delete()
        ['sh', '-c', 'kill -s TERM -- "-$(cat "$0.pid")"', script.path].execute().waitFor()
      }
      sleep(50)
    }
  }
}
