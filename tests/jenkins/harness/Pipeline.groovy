/* Reads a whole `pipeline` block first, as Jenkins does, and then builds it. */
class Pipeline {
  private final Build build
  private final List<Stage> stages
  private final Map<String, Closure> post

  Pipeline(Build build, Closure body) {
    this.build = build
    Block top = new Block(build, 'pipeline', Names.TOP, body)
    ['agent', 'stages'].each { if (!top.first(it)) { throw new Refused("pipeline: ${it} is missing") } }
    if (top.first('agent') != 'none') { throw new Refused('pipeline: the harness gives agents to stages alone') }
    [parameters: Names.PARAMETERS, triggers: Names.TRIGGERS, options: Names.OPTIONS].each { section, known ->
      if (top.first(section)) {
        build.directives[section] = new Block(build, section, known, (Closure) top.first(section)).entries
      }
    }
    build.defaults((build.directives.parameters ?: []) + (build.scenario.parameters ?: []))
    stages = Stage.listOf(build, 'stages', (Closure) top.first('stages'))
    post = Stage.postOf(build, 'pipeline', top)
    build.branch.timeouts << limit((Map) build.directives.options?.find { it[0] == 'timeout' }?.getAt(1)?.getAt(0))
  }

  void run() {
    Throwable first = sequence(stages)
    if (first) { build.end(Outcome.of(first)) }
    after(post, build.result)
  }

  /* A stage after one that threw is skipped; one whose failure was caught threw nothing. */
  private Throwable sequence(List<Stage> stages) {
    Throwable first = null
    for (Stage stage in stages) {
      Map entry = [name: stage.name, result: 'SKIPPED', label: null]
      build.stages << entry
      if (!first) { first = one(stage, entry) }
    }
    first
  }

  /* Builds a stage, on another agent if its own was lost and it asks for that; returns what it threw. */
  private Throwable one(Stage stage, Map entry) {
    int tries = (stage.retry?.count ?: 1) as int
    Branch own = build.branch
    Map before = own.stage
    if (stage.timeout) { own.timeouts << limit(stage.timeout) }
    try {
      while (true) {
        own.stage = entry
        Throwable thrown = attempt(stage, entry)
        if (!(thrown instanceof Interrupted) || !thrown.agentLost || --tries <= 0) { return thrown }
      }
    } finally {
      own.stage = before
      if (stage.timeout) { own.timeouts.removeLast() }
    }
  }

  private Throwable attempt(Stage stage, Map entry) {
    Throwable thrown = null
    try {
      boolean early = stage.when?.first('beforeAgent')
      if (early && !holds(stage.when)) { return null }
      Map answer = stage.input ? build.ask(new Block(build, stage.name, Names.INPUT, stage.input)) : [:]
      build.within(stage.agent?.call(), true, entry, answer) {
        if (stage.when && !early && !holds(stage.when)) { return }
        entry.result = 'SUCCESS'
        try {
          thrown = body(stage)
        } catch (Refused refused) {
          throw refused
        } catch (Exception failed) {
          thrown = failed
        }
        if (thrown) { entry.result = Outcome.of(thrown) }
        if (!(thrown instanceof Interrupted) || !thrown.agentLost) { after(stage.post, entry.result) }
      }
    } catch (Refused refused) {
      throw refused
    } catch (Exception failed) {
      thrown = failed
      entry.result = Outcome.of(failed)
    }
    if (thrown) { build.say("stage ${entry.name}: ${thrown}") }
    thrown
  }

  private Throwable body(Stage stage) {
    if (stage.steps) {
      build.steps.body(stage.steps)
      return null
    }
    if (!stage.parallel) { return sequence(stage.stages) }
    // They are listed in the order in which they are written, whichever begins first.
    Map<Stage, Map> entries = stage.stages.collectEntries { [(it): [name: it.name, result: 'SKIPPED', label: null]] }
    build.stages.addAll(entries.values())
    Outcome.worst(build.side(entries.collect { inner, entry -> { -> rethrow(one(inner, entry)) } }, false))
  }

  private static void rethrow(Throwable thrown) { if (thrown) { throw thrown } }

  private boolean holds(Block when) { when.entries.every { holds(it[0], it[1]) } }

  private boolean holds(String name, List given) {
    switch (name) {
      case 'beforeAgent': return true
      case 'branch': return build.env.BRANCH_NAME == given[0]
      case 'expression': return build.steps.body((Closure) given[0]) as boolean
      case 'anyOf': return new Block(build, 'anyOf', Names.WHEN, (Closure) given[0]).entries.any { holds(it[0], it[1]) }
      case 'allOf': return new Block(build, 'allOf', Names.WHEN, (Closure) given[0]).entries.every { holds(it[0], it[1]) }
      case 'not': return !new Block(build, 'not', Names.WHEN, (Closure) given[0]).entries.every { holds(it[0], it[1]) }
    }
    throw new Refused("when: the harness does not do ${name}")
  }

  private void after(Map<String, Closure> post, String result) {
    List due = ['always', result == 'NOT_BUILT' ? 'notBuilt' : result.toLowerCase()]
    if (result != 'SUCCESS') { due << 'unsuccessful' }
    for (String condition in due + ['cleanup']) {
      if (!post[condition]) { continue }
      try {
        build.steps.body(post[condition])
      } catch (Failed failed) {
        build.say("post ${condition}: ${failed.message}")
        build.end('FAILURE')
      }
    }
  }

  static Integer limit(Map given) {
    given ? (given.time as int) * [MINUTES: 1, HOURS: 60, DAYS: 1440][given.unit] : null
  }
}
