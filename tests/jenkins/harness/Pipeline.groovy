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
    build.defaults(build.directives.parameters ?: [])
    stages = Stage.listOf(build, 'stages', (Closure) top.first('stages'))
    post = Stage.postOf(build, 'pipeline', top)
    build.timeouts << limit((Map) build.directives.options?.find { it[0] == 'timeout' }?.getAt(1)?.getAt(0))
  }

  void run() {
    stages.each { stage(it) }
    after(post, build.result)
  }

  private void stage(Stage stage) {
    Map entry = [name: stage.name, result: 'SKIPPED', label: null]
    build.stages << entry
    if (build.result != 'SUCCESS' && !build.nested) { return }
    int tries = (stage.retry?.count ?: 1) as int
    if (stage.timeout) { build.timeouts << limit(stage.timeout) }
    try {
      while (tries-- > 0) {
        Interrupted lost = attempt(stage, entry)
        if (!lost) { break }
        if (!tries) { build.end(lost.result) }
      }
    } finally {
      if (stage.timeout) { build.timeouts.removeLast() }
    }
  }

  /* Builds a stage; returns what took its agent away, as another one may then be tried. */
  private Interrupted attempt(Stage stage, Map entry) {
    Interrupted lost = null
    try {
      boolean early = stage.when?.first('beforeAgent')
      if (early && !holds(stage.when)) { return null }
      Map answer = stage.input ? build.ask(new Block(build, stage.name, Names.INPUT, stage.input)) : [:]
      build.within(stage.agent?.call(), entry, answer) {
        if (stage.when && !early && !holds(stage.when)) { return }
        entry.result = 'SUCCESS'
        build.current.stage = entry
        try {
          body(stage, entry)
        } catch (Interrupted interrupted) {
          entry.result = interrupted.result
          if (interrupted.agentLost) {
            if (!stage.agent) { throw interrupted }
            lost = interrupted
            return
          }
          build.end(interrupted.result)
        } catch (Refused refused) {
          throw refused
        } catch (Exception failed) {
          fail(entry, failed)
        }
        after(stage.post, entry.result)
      }
    } catch (Interrupted refusal) {
      if (refusal.agentLost) { throw refusal }
      entry.result = refusal.result
      build.end(refusal.result)
    } catch (Refused refused) {
      throw refused
    } catch (Exception failed) {
      fail(entry, failed)
    }
    lost
  }

  /* A step that failed, or Groovy of the Jenkinsfile that went wrong. */
  private void fail(Map entry, Exception failed) {
    build.say("stage ${entry.name}: ${failed}")
    entry.result = 'FAILURE'
    build.end('FAILURE')
  }

  private void body(Stage stage, Map entry) {
    if (stage.steps) {
      build.steps.body(stage.steps)
      return
    }
    for (Stage inner in stage.stages) {
      // What runs in parallel does not see how the others end; a stage after a failed one is skipped.
      String before = build.result
      if (stage.parallel) { build.result = 'SUCCESS' }
      nested(inner)
      if (stage.parallel) { build.end(before) }
    }
    String worst = build.stages.findAll { it.name in stage.stages*.name && it.result != 'SKIPPED' }*.result
      .max { Build.RESULTS.indexOf(it) }
    entry.result = worst ?: 'SUCCESS'
  }

  private void nested(Stage inner) {
    boolean before = build.nested
    // After catchError the build has failed, and yet the stages beside it go on.
    build.nested = build.caught
    try { stage(inner) } finally { build.nested = before }
  }

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

  private static Integer limit(Map given) {
    given ? (given.time as int) * [MINUTES: 1, HOURS: 60, DAYS: 1440][given.unit] : null
  }
}
