/*
 * Runs Jenkinsfiles: `groovy -cp HARNESS HARNESS/Harness.groovy SCENARIOS.json RESULTS.json`.
 *
 * It gives a Jenkinsfile the declarative directives and the steps that Trainyard's use, and refuses any other. `sh`
 * truly runs; mail, archives and the like are written down. Branches of a parallel, and builds of one job, truly run
 * beside each other; within a build one branch's Groovy runs at a time, as in Jenkins. A timeout is noted and not waited
 * for, `sleep` takes a moment, and Groovy runs as it is, without Jenkins' sandbox and its CPS.
 *
 * Scenarios of one `job` are its builds, in their order; one with `begins` starts once that file is there.
 */
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import groovy.transform.Field
import org.codehaus.groovy.control.CompilerConfiguration

@Field final Map<List, Class> COMPILED = [:]

/* A Jenkinsfile's class; many scenarios are of the same one. */
synchronized Class compiled(String text, boolean check) {
  COMPILED.computeIfAbsent([text, check]) {
    if (check) {
      Check.literalShells(text)
      Check.nothingButSteps(text)
    }
    def configuration = new CompilerConfiguration(scriptBaseClass: Jenkinsfile.name)
    new GroovyClassLoader(getClass().classLoader, configuration).parseClass(text, 'Written.groovy')
  }
}

def built(Build build) {
  try {
    String text = new File((String) build.scenario.jenkinsfile).text
    Jenkinsfile script = (Jenkinsfile) compiled(text, build.scenario.check != false).getDeclaredConstructor().newInstance()
    script.begin(build)
    build.script = script
    build.run { script.run() }
  } catch (Refused refused) {
    build.refused = refused.message
  }
}

/* A person, or Jenkins itself, stops the build once the file is there. */
Thread stopping(Build build) {
  Map stop = build.scenario.interrupt
  if (!stop?.when || stop.result == 'LOST') { return null }
  Thread.startDaemon {
    File begun = new File((String) stop.when)
    while (!begun.exists()) { sleep(20) }
    build.trunk.cancel(new Interrupted('interrupted', (String) stop.result))
  }
}

Map run(List<Map> scenarios) {
  Job job = new Job()
  List<Thread> threads = []
  List<Build> builds = scenarios.collect { Map scenario ->
    if (scenario.begins) {
      File awaited = new File((String) scenario.begins)
      long end = System.currentTimeMillis() + 60_000
      while (!awaited.exists() && System.currentTimeMillis() < end) { sleep(20) }
      if (!awaited.exists()) { throw new IllegalStateException("${scenario.name}: ${awaited} never came") }
    }
    Build build = new Build(scenario, job)
    stopping(build)
    threads << Thread.start { built(build) }
    build
  }
  threads*.join()
  builds.collectEntries { [(it.scenario.name): it.account()] }
}

/* A script of the Job DSL, in the workspace `folder`. */
Map made(Map scenario) {
  def configuration = new CompilerConfiguration(scriptBaseClass: Dsl.name)
  def shell = new GroovyShell(getClass().classLoader, new Binding(), configuration)
  Dsl script = (Dsl) shell.parse((String) scenario.dsl, 'Jobs.groovy')
  script.begin((String) scenario.folder)
  try {
    script.run()
  } catch (Refused | IllegalStateException | MissingPropertyException refused) {
    return [refused: refused.message]
  }
  script.account()
}

List scenarios = new JsonSlurper().parse(new File(args[0])) as List
Map dsl = scenarios.findAll { it.dsl }.collectEntries { [(it.name): made(it)] }
// Whoever starts a build is shown what the seed job gave the job.
scenarios.each { Map one ->
  if (!one.made) { return }
  Map job = dsl[one.made].calls.find { it.name == 'pipelineJob' && it.given == [one.of] }
  one.parameters = job.body.find { it.name == 'parameters' }.body.collect { Map call ->
    boolean choice = call.name == 'choiceParam'
    [choice ? 'choice' : 'string', [[name: call.given[0], (choice ? 'choices' : 'defaultValue'): call.given[1]]]]
  }
}
Map results = dsl + scenarios.findAll { !it.dsl }.groupBy { it.job ?: it.name }.values().inject([:]) { Map sum, List builds -> sum + run(builds) }
new File(args[1]).text = JsonOutput.toJson(results)
