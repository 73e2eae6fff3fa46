import org.jenkinsci.plugins.scriptsecurity.scripts.ScriptApproval

/* A script of the Job DSL plugin: each call is written down, with what stands between its braces. */
abstract class Dsl extends Script {
  private String folder
  private final Recorder top = new Recorder('script', Names.DSL)

  /* Not by assignment, which a Groovy script takes for a variable of its own. */
  void begin(String folder) { this.folder = folder }

  String readFileFromWorkspace(String path) { new File(folder, (String) path).text }

  def methodMissing(String name, Object arguments) { top.methodMissing(name, arguments) }

  Map account() { [calls: top.calls, approved: ScriptApproval.APPROVED.collect { it }] }
}

class Recorder {
  final List<Map> calls = []
  private final String where
  private final Map known

  Recorder(String where, Map known) {
    this.where = where
    this.known = known
  }

  def methodMissing(String name, Object arguments) {
    if (!known.containsKey(name)) { throw new Refused("${where}: ${name} is not known; known here: ${known.keySet().join(', ')}") }
    List given = arguments as List
    Closure body = given && given[-1] instanceof Closure ? (Closure) given[-1] : null
    if (body) { given = given.dropRight(1) }
    if (body && known[name] == null) { throw new Refused("${where}: ${name} takes no block") }
    Recorder inner = new Recorder(name, (Map) known[name] ?: [:])
    calls << [name: name, given: given, body: inner.calls]
    if (body) {
      Closure copy = (Closure) body.clone()
      copy.delegate = inner
      copy.resolveStrategy = Closure.DELEGATE_ONLY
      copy.call()
    }
  }

  /* What a script calls without being given it is a mistake: a binding, whoever starts the script can set. */
  def propertyMissing(String name) { throw new Refused("${where}: there is no ${name}") }
}
