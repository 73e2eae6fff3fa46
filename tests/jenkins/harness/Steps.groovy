import groovy.json.JsonSlurper
import java.nio.file.Files
import java.nio.file.Path

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
    if (name == 'parallel') { return parallel(arguments) }
    Names.check(Names.STEPS, name, arguments, 'steps')
    Closure body = arguments && arguments[-1] instanceof Closure ? (Closure) arguments[-1] : null
    Object first = arguments && !arguments[0].is(body) ? arguments[0] : null
    // Between two steps another branch of the build may have its turn, and a stop arrives.
    build.until { true }
    step(name, first instanceof Map ? first : [:], first, body)
  }

  private step(String name, Map named, Object first, Closure body) {
    switch (name) {
      case 'sh': return shell.run(named ?: [script: first])
      case 'echo': return build.say(String.valueOf(named.message ?: first))
      case 'error': throw new Failed(String.valueOf(named.message ?: first))
      case 'script': return this.body(body)
      case 'string': return [(named.name): named.value]
      case 'stage': return stage(String.valueOf(named.name ?: first), body)
      case 'node': return build.within(String.valueOf(named.label ?: first), false, build.branch.stage, [:]) { this.body(body) }
      case 'checkout': return build.checkOut()
      case 'retry': return again(named, body)
      case ['agent', 'nonresumable']: return name
      case 'sleep': return pause()
      case 'withEnv': return withVariables((List) (named.overrides ?: first), body)
      case 'timeout': return withTimeout(named, body)
      case 'catchError': return caught(named, body)
      case 'mail': return build.mails << named.collectEntries { [(it.key): it.value as String] }
      case 'build': return request(named)
      case 'stash':
        Path from = new File(here(name)).toPath()
        build.stashes[named.name] = files(name, named.includes, false).collectEntries { [(it): Files.readAllBytes(from.resolve(it))] }
        return
      case 'unstash':
        Path to = new File(here(name)).toPath()
        if (!build.stashes.containsKey(named.name ?: first)) { throw new Failed("there is no stash ${named.name ?: first}") }
        build.stashes[named.name ?: first].each { String path, byte[] content ->
          Files.createDirectories(to.resolve(path).parent)
          Files.write(to.resolve(path), content)
        }
        return
      case 'deleteDir': return new File(here(name)).deleteDir()
      case 'fileExists': return new File(here(name), (String) (named.file ?: first)).exists()
      case 'readJSON': return json(named)
      case 'junit': return files(name, named.testResults ?: first, named.allowEmptyResults).each { build.junit << it }
      case 'archiveArtifacts':
        return files(name, named.artifacts ?: first, named.allowEmptyArchive).each { build.archived << it }
    }
  }

  /* A map of branches, of which one entry may be `failFast`. */
  private Map parallel(List arguments) {
    Map given = (Map) arguments[0]
    Map wrong = given.findAll { !(it.value instanceof Closure) && !(it.key == 'failFast' && it.value instanceof Boolean) }
    if (wrong) { throw new Refused("parallel: expected blocks or failFast, not ${wrong}") }
    Map<String, Closure> branches = given.findAll { it.value instanceof Closure }
    Map results = [:]
    List<Throwable> thrown = build.side(branches.collect { name, block -> { -> results[name] = body(block) } }, given.failFast == true)
    // With failFast the first failure is what the others were stopped for.
    Throwable first = given.failFast == true ? thrown.find { it instanceof Refused } ?: thrown[0] : Outcome.worst(thrown)
    if (first) { throw first }
    results
  }

  private stage(String name, Closure body) {
    Branch own = build.branch
    Map before = own.stage
    own.stage = [name: name, result: 'SUCCESS', label: null]
    build.stages << own.stage
    try {
      this.body(body)
    } catch (Throwable thrown) {
      own.stage.result = Outcome.of(thrown)
      throw thrown
    } finally {
      own.stage = before
    }
  }

  /* Jenkins' retry with conditions: another agent for one that was lost. */
  private again(Map named, Closure body) {
    if (!named.conditions) { throw new Refused('retry: the harness does it for lost agents alone (conditions)') }
    for (int left = (int) named.count - 1; ; left--) {
      try {
        return this.body(body)
      } catch (Interrupted interrupted) {
        if (!interrupted.agentLost || left <= 0) { throw interrupted }
      }
    }
  }

  private void pause() {
    long end = System.currentTimeMillis() + 40
    build.until { System.currentTimeMillis() > end }
  }

  private withVariables(List pairs, Closure body) {
    LinkedList layers = build.branch.layers
    layers << pairs.collectEntries { String pair -> [(pair.split('=', 2)[0]): pair.split('=', 2)[1]] }
    try { this.body(body) } finally { layers.removeLast() }
  }

  private withTimeout(Map named, Closure body) {
    LinkedList timeouts = build.branch.timeouts
    timeouts << Pipeline.limit(named)
    try { this.body(body) } finally { timeouts.removeLast() }
  }

  private void caught(Map named, Closure body) {
    try {
      this.body(body)
    } catch (Failed failed) {
      build.say(failed.message)
      build.branch.stage.result = named.stageResult ?: 'FAILURE'
      build.end(named.buildResult ?: 'FAILURE')
    } catch (Interrupted interrupted) {
      if (named.catchInterruptions == false) { throw interrupted }
      build.branch.stage.result = named.stageResult ?: 'FAILURE'
    }
  }

  private Map request(Map named) {
    build.requests << [job: named.job, parameters: named.parameters.inject([:]) { Map sum, Map one -> sum + one }]
    List results = build.scenario.requested ?: ['SUCCESS']
    Object ended = results[Math.min(build.requests.size(), results.size()) - 1]
    Map of = ended instanceof Map ? ended : [result: ended]
    if (named.propagate != false && of.result != 'SUCCESS') { throw new Failed("${named.job} ended as ${of.result}") }
    [number: build.requests.size(), buildVariables: [:]] + of
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
    if (!build.branch.workspace) { throw new Failed("${step} needs an agent") }
    build.branch.workspace
  }
}
