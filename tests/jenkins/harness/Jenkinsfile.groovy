/* What a Jenkinsfile is compiled into: whatever it calls and does not define itself is a step. */
abstract class Jenkinsfile extends Script {
  private Build build

  /* Not by assignment, which a Groovy script takes for a variable of its own. */
  void begin(Build build) { this.build = build }

  def pipeline(Closure body) { new Pipeline(build, body).run() }

  def getEnv() { build.env }

  def getParams() { build.params }

  def getCurrentBuild() { build.current }

  def getScm() { 'the commit that is built' }

  def methodMissing(String name, Object arguments) { build.steps.call(name, arguments as List) }
}
