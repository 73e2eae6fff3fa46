import groovy.json.JsonSlurper

/* The pipeline steps. Whatever is not one, and no method of the Jenkinsfile either, fails the build's harness. */
class Steps {
  private final Build build
  private final Shell shell

  Steps(Build build) {
    this.build = build
    shell = new Shell(build)
  }

  /* Runs a block of steps. */
  def body(Closure closure) {
    Closure copy = (Closure) closure.clone()
    copy.delegate = this
    copy.resolveStrategy = Closure.DELEGATE_ONLY
    copy.call()
  }

  def methodMissing(String name, Object arguments) { call(name, arguments as List) }

  def propertyMissing(String name) { build.script.getProperty(name) }

  def call(String name, List arguments) {
    if (build.script.metaClass.respondsTo(build.script, name) && !Names.STEPS.containsKey(name)) {
      return build.script.invokeMethod(name, arguments as Object[])
    }
    Names.check(Names.STEPS, name, arguments, 'steps')
    Closure body = arguments && arguments[-1] instanceof Closure ? (Closure) arguments[-1] : null
    Object first = arguments && !arguments[0].is(body) ? arguments[0] : null
    step(name, first instanceof Map ? first : [:], first, body)
  }

  private step(String name, Map named, Object first, Closure body) {
    switch (name) {
      case 'sh': return shell.run(named ?: [script: first])
      case 'echo': return build.say(String.valueOf(named.message ?: first))
      case 'error': throw new Failed(String.valueOf(named.message ?: first))
      case 'script': return this.body(body)
      case 'string': return [(named.name): named.value]
      case 'withEnv': return withVariables((List) (named.overrides ?: first), body)
      case 'timeout': return withTimeout(named, body)
      case 'catchError': return caught(named, body)
      case 'mail': return build.mails << named.collectEntries { [(it.key): it.value as String] }
      case 'build': return request(named)
      case 'deleteDir': return new File(here(name)).deleteDir()
      case 'readJSON': return json(named)
      case 'junit': return files(name, named.testResults ?: first, named.allowEmptyResults).each { build.junit << it }
      case 'archiveArtifacts':
        return files(name, named.artifacts ?: first, named.allowEmptyArchive).each { build.archived << it }
    }
  }

  private withVariables(List pairs, Closure body) {
    build.env.push(pairs.collectEntries { String pair -> [(pair.split('=', 2)[0]): pair.split('=', 2)[1]] })
    try { this.body(body) } finally { build.env.pop() }
  }

  private withTimeout(Map named, Closure body) {
    build.timeouts << Pipeline.limit(named)
    try { this.body(body) } finally { build.timeouts.removeLast() }
  }

  private void caught(Map named, Closure body) {
    try {
      this.body(body)
    } catch (Failed failed) {
      build.say(failed.message)
      build.current.stage.result = named.stageResult ?: 'FAILURE'
      build.caught = true
      build.end(named.buildResult ?: 'FAILURE')
    } catch (Interrupted interrupted) {
      if (named.catchInterruptions == false) { throw interrupted }
      build.current.stage.result = named.stageResult ?: 'FAILURE'
      build.caught = true
    }
  }

  private Map request(Map named) {
    build.requests << [job: named.job, parameters: named.parameters.inject([:]) { Map sum, Map one -> sum + one }]
    List results = build.scenario.requested ?: ['SUCCESS']
    String result = results[Math.min(build.requests.size(), results.size()) - 1]
    if (named.propagate != false && result != 'SUCCESS') { throw new Failed("${named.job} ended as ${result}") }
    [result: result]
  }

  private json(Map named) {
    // Without it Jenkins gives objects in which null is true and join() quotes.
    if (!named.returnPojo) { throw new Refused('readJSON: the harness gives plain objects alone (returnPojo: true)') }
    new JsonSlurper().parse(new File(here('readJSON'), (String) named.file))
  }

  private List<String> files(String step, Object pattern, Object mayBeNone) {
    def root = new File(here(step)).toPath()
    def matcher = root.fileSystem.getPathMatcher("glob:${pattern}")
    List<String> found = []
    root.toFile().eachFileRecurse { File file ->
      def path = root.relativize(file.toPath())
      if (file.file && matcher.matches(path)) { found << path.toString() }
    }
    found.sort()
    if (!found && !mayBeNone) { throw new Failed("${step}: no file matches ${pattern}") }
    found
  }

  String here(String step) {
    if (!build.workspace) { throw new Failed("${step} needs an agent") }
    build.workspace
  }
}
