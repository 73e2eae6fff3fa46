/* What stands between the braces of a directive: the names it called with their arguments, in order. */
class Block {
  final List<List> entries = []
  private final Build build
  private final String where
  private final Map<String, List<String>> known

  Block(Build build, String where, Map<String, List<String>> known, Closure body) {
    this.build = build
    this.where = where
    this.known = known
    Closure copy = (Closure) body.clone()
    copy.delegate = this
    copy.resolveStrategy = Closure.DELEGATE_ONLY
    copy.call()
  }

  def methodMissing(String name, Object arguments) {
    List given = arguments as List
    Names.check(known, name, given, where)
    entries << [name, given]
    [name, given]
  }

  def propertyMissing(String name) {
    if (name in ['none', 'any']) { return name }
    build.script.getProperty(name)
  }

  /* The first argument given to `name`; null where it was not called. */
  def first(String name) { entries.find { it[0] == name }?.getAt(1)?.getAt(0) }
}
