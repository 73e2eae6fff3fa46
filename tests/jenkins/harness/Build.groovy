/* One build of a scenario: its state, and the account of it that the tests read. */
class Build {
  static final List<String> RESULTS = ['SUCCESS', 'UNSTABLE', 'FAILURE', 'NOT_BUILT', 'ABORTED']

  final Map scenario
  final Steps steps
  final Env env
  final Map params = [:]
  final Map current = [description: null, stage: null]
  final Map directives = [:]
  final List<Map> stages = [], commands = [], mails = [], requests = [], asked = []
  final List<String> log = [], archived = [], junit = []
  final LinkedList<Integer> timeouts = []
  Jenkinsfile script
  String result = 'SUCCESS', refused, workspace
  boolean nested = false, caught = false
  private int workspaces = 0

  Build(Map scenario) {
    this.scenario = scenario
    Map given = [JOB_NAME: 'trainyard/main', BUILD_NUMBER: '7', BUILD_URL: 'jenkins/7/', BRANCH_NAME: 'main']
    env = new Env(given + (scenario.env ?: [:]) + (scenario.params ?: [:]))
    steps = new Steps(this)
  }

  /* Parameters have their defaults in `params` at once, but are variables only in a build that was given them. */
  void defaults(List parameters) {
    parameters.each {
      Map given = it[1][0]
      params[given.name] = it[0] == 'choice' ? given.choices[0] : given.defaultValue
    }
    (scenario.params ?: [:]).each { name, value ->
      if (!params.containsKey(name)) { throw new Refused("parameters: there is no ${name}") }
      params[name] = params[name] instanceof Boolean ? value == 'true' : value
    }
  }

  void say(String text) { log << text }

  void end(String with) {
    if (RESULTS.indexOf(with) > RESULTS.indexOf(result)) { result = with }
  }

  /* Runs `body` on an agent with that label, in a workspace of its own with the commit checked out. */
  void within(String label, Map entry, Map variables, Closure body) {
    String before = workspace
    Map given = new LinkedHashMap(variables)
    if (label) {
      entry.label = label
      workspace = "${scenario.folder}/workspace-${++workspaces}"
      checkOut()
      given.WORKSPACE = workspace
      if (scenario.previous) { given.GIT_PREVIOUS_SUCCESSFUL_COMMIT = scenario.previous }
    }
    env.push(given)
    try {
      body()
    } finally {
      env.pop()
      if (label && new File(workspace).list()) { entry.left = new File(workspace).list().sort() }
      workspace = before
    }
  }

  /* Jenkins' input: who answers must be named as a submitter, or be in a group that is. */
  Map ask(Block input) {
    List allowed = (input.first('submitter') ?: '').tokenize(', ')
    asked << [message: input.first('message'), submitters: allowed, agent: workspace]
    Map answer = scenario.answer
    if (!answer) { throw new Interrupted('nobody answered in time', 'ABORTED') }
    if (allowed && !allowed.any { it == answer.user || it in answer.groups }) {
      throw new Interrupted("${answer.user} may not answer", 'ABORTED')
    }
    if (!answer.proceed) { throw new Interrupted("rejected by ${answer.user}", 'ABORTED') }
    input.first('submitterParameter') ? [(input.first('submitterParameter')): answer.user] : [:]
  }

  Map account() {
    [
      result: refused ? 'REFUSED' : result, refused: refused, stages: stages, commands: commands, mails: mails,
      requests: requests, asked: asked, log: log, archived: archived, junit: junit,
      description: current.description as String,
      directives: directives.collectEntries { [(it.key): it.value.collect { [it[0], it[1].findAll { !(it instanceof Closure) }] }] },
    ]
  }

  private void checkOut() {
    Process git = ['git', 'clone', '-q', scenario.repository, workspace].execute()
    if (git.waitFor()) { throw new IllegalStateException(git.err.text) }
  }
}
