/* A stage as written, refused where Jenkins would refuse it; nothing runs yet. */
class Stage {
  final String name
  final Closure agent, steps, input
  final Block when
  final Map<String, Closure> post
  final List<Stage> stages
  final boolean parallel
  final Map timeout, retry

  Stage(Build build, String name, Closure body) {
    this.name = name
    String where = "stage '${name}'"
    Block block = new Block(build, where, Names.STAGE, body)
    List kinds = ['steps', 'stages', 'parallel'].findAll { block.first(it) }
    if (kinds.size() != 1) { throw new Refused("${where}: one of steps, stages and parallel, not ${kinds}") }
    agent = agentOf(build, where, block.first('agent'))
    steps = (Closure) block.first('steps')
    input = (Closure) block.first('input')
    when = block.first('when') ? new Block(build, where, Names.WHEN, (Closure) block.first('when')) : null
    post = postOf(build, where, block)
    parallel = kinds == ['parallel']
    stages = steps ? [] : listOf(build, where, (Closure) block.first(kinds[0]))
    Block options = block.first('options') ?
      new Block(build, where, Names.STAGE_OPTIONS, (Closure) block.first('options')) : null
    timeout = (Map) options?.first('timeout')
    retry = (Map) options?.first('retry')
    if (parallel && agent) { throw new Refused("${where}: a parallel stage has no agent of its own") }
  }

  static List<Stage> listOf(Build build, String where, Closure body) {
    new Block(build, where, [stage: ['']], body).entries.collect { new Stage(build, (String) it[1][0], (Closure) it[1][1]) }
  }

  /* The agent's label, asked for when the stage begins; null for none of its own. */
  static Closure agentOf(Build build, String where, Object given) {
    if (given == null || given == 'none') { return null }
    if (given == 'any') { return { 'any' } }
    Closure label = { String.valueOf(new Block(build, where, Names.AGENT, (Closure) given).first('label')) }
    label()
    label
  }

  static Map<String, Closure> postOf(Build build, String where, Block block) {
    if (!block.first('post')) { return [:] }
    Map known = Names.POST.collectEntries { [(it): ['']] }
    new Block(build, where, known, (Closure) block.first('post')).entries.collectEntries { [(it[0]): it[1][0]] }
  }
}
