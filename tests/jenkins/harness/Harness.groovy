/*
 * Runs Jenkinsfiles: `groovy -cp HARNESS HARNESS/Harness.groovy SCENARIOS.json RESULTS.json`.
 *
 * It gives a Jenkinsfile the declarative directives and the steps that Trainyard's use, and refuses any other. `sh`
 * truly runs; mail, archives and the like are written down. Stages that Jenkins runs in parallel run one after another
 * here, a timeout is noted and not waited for, and Groovy runs as it is, without Jenkins' sandbox and its CPS.
 */
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import org.codehaus.groovy.control.CompilerConfiguration

def run(Map scenario) {
  Build build = new Build(scenario)
  try {
    String text = new File(scenario.jenkinsfile).text
    if (scenario.check != false) {
      Check.literalShells(text)
      Check.nothingButSteps(text)
    }
    def configuration = new CompilerConfiguration(scriptBaseClass: Jenkinsfile.name)
    Jenkinsfile script = (Jenkinsfile) new GroovyShell(getClass().classLoader, new Binding(), configuration)
      .parse(text, 'Written.groovy')
    script.begin(build)
    build.script = script
    script.run()
  } catch (Refused refused) {
    build.refused = refused.message
  }
  build.account()
}

List scenarios = new JsonSlurper().parse(new File(args[0])) as List
new File(args[1]).text = JsonOutput.toJson(scenarios.collectEntries { [(it.name): run(it)] })
