/* `sh`, truly run as Jenkins does: sh -xe on a file, in the workspace. */
class Shell {
  private final Build build
  private int number = 0

  Shell(Build build) { this.build = build }

  def run(Map named) {
    Branch own = build.branch
    File here = new File(build.steps.here('sh'))
    File script = new File((String) build.scenario.folder, "sh-${++number}")
    script.text = named.script
    Map entry = [
      label: named.label, script: (String) named.script, agent: own.stage?.label,
      timeouts: own.timeouts.findAll { it != null },
    ]
    build.commands << entry
    // A session of its own, so that an abort reaches whatever it started.
    ProcessBuilder builder = new ProcessBuilder('setsid', '-w', 'sh', '-c', 'echo $$ > "$0.pid"; exec sh -xe "$0"', script.path)
    builder.directory(here)
    builder.environment().putAll(build.env.all())
    File output = new File("${script.path}.${named.returnStdout ? 'out' : 'log'}")
    if (named.returnStdout) { builder.redirectError(new File("${script.path}.log")) } else { builder.redirectErrorStream(true) }
    builder.redirectOutput(output)
    Process process = builder.start()
    build.waiting {
      while (process.alive && !own.stopping) { sleep(20) }
      // As Jenkins does on an abort.
      if (process.alive) { ['sh', '-c', 'kill -s TERM -- "-$(cat "$0.pid")"', script.path].execute().waitFor() }
      process.waitFor()
    }
    entry.code = process.exitValue()
    build.say(new File("${script.path}.log").text)
    own.check()
    Map lost = build.scenario.interrupt
    if (lost?.result == 'LOST' && named.label == lost.step && !lost.done) {
      lost.done = true
      throw new Interrupted('the agent is gone', 'ABORTED', true)
    }
    if (named.returnStatus) { return entry.code }
    if (named.returnStdout && !entry.code) { return output.text }
    if (entry.code) { throw new Failed("script returned exit code ${entry.code}") }
  }
}
