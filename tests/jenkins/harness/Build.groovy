import java.util.concurrent.Semaphore

/* One build of a scenario: its state, and the account of it that the tests read. */
class Build {
  static final List<String> RESULTS = ['SUCCESS', 'UNSTABLE', 'FAILURE', 'NOT_BUILT', 'ABORTED']

  final Map scenario
  final Job job
  final int number
  final Steps steps
  final Env env
  final Current current
  final Map params = [:]
  final Map directives = [:]
  final Map<String, Map> stashes = [:]
  final List<Map> stages = all(), commands = all(), mails = all(), requests = all(), asked = all()
  final List<String> log = all(), archived = all(), junit = all()
  final Branch trunk = new Branch()
  Jenkinsfile script
  String refused, description
  volatile String result = 'SUCCESS'
  volatile boolean ended = false
  private final ThreadLocal<Branch> here = new ThreadLocal<>()
  // One branch's Groovy runs at a time, until a step waits: Jenkins has one thread for a build's program.
  private final Semaphore turn = new Semaphore(1, true)
  private int workspaces = 0

  Build(Map scenario, Job job) {
    this.scenario = scenario
    this.job = job
    here.set(trunk)
    number = job.add(this)
    Map given = [JOB_NAME: 'trainyard/main', BUILD_NUMBER: "${number}", BUILD_URL: "jenkins/${number}/", BRANCH_NAME: 'main']
    env = new Env(this, given.collectEntries { [(it.key): it.value as String] } + (scenario.env ?: [:]) + (scenario.params ?: [:]))
    current = new Current(this, true)
    steps = new Steps(this)
  }

  Branch getBranch() { here.get() ?: trunk }

  /* Runs the build's program, from its first line. */
  void run(Closure program) {
    here.set(trunk)
    turn.acquire()
    try {
      program()
    } finally {
      turn.release()
      ended = true
    }
  }

  /* Lets others have their turn while `wait` runs, which must touch nothing of the build's. */
  def waiting(Closure wait) {
    turn.release()
    try { wait() } finally { turn.acquire() }
  }

  /* Waits until `done`; a stop of the branch ends it. Other branches go on meanwhile. */
  void until(Closure<Boolean> done) {
    waiting { while (!branch.stopping && !done()) { sleep(20) } }
    branch.check()
  }

  /* Runs each of `bodies` in a branch of its own; what each threw, in the order in which they did. */
  List<Throwable> side(Collection<Closure> bodies, boolean failFast) {
    List<Throwable> thrown = all()
    Branch around = branch
    List<Branch> branches = bodies.collect { new Branch(around) }
    List<Thread> threads = [branches, bodies].transpose().collect { Branch own, Closure body ->
      Thread.start {
        here.set(own)
        turn.acquire()
        try {
          body()
        } catch (Throwable what) {
          thrown << what
          if (failFast && thrown.size() == 1) { (branches - own)*.cancel(new Interrupted('a branch beside it failed', 'ABORTED')) }
        } finally {
          own.end()
          turn.release()
        }
      }
    }
    waiting { threads*.join() }
    thrown
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

  synchronized void end(String with) {
    if (RESULTS.indexOf(with) > RESULTS.indexOf(result)) { result = with }
  }

  /* Runs `body` on an agent with that label, in a workspace of its own; with `scm` the commit is checked out there. */
  void within(String label, boolean scm, Map entry, Map variables, Closure body) {
    Branch own = branch
    String before = own.workspace
    Map given = new LinkedHashMap(variables)
    if (label) {
      entry.label = label
      entry.taken = System.currentTimeMillis()
      own.workspace = newWorkspace()
      given.WORKSPACE = own.workspace
      if (scm) {
        checkOut()
        if (scenario.previous) { given.GIT_PREVIOUS_SUCCESSFUL_COMMIT = scenario.previous }
      }
    }
    own.layers << given
    try {
      body()
    } finally {
      own.layers.removeLast()
      if (label && new File(own.workspace).list()) { entry.left = new File(own.workspace).list().sort() }
      own.workspace = before
    }
  }

  /* Jenkins' input: who answers must be named as a submitter, or be in a group that is. */
  Map ask(Block input) {
    List allowed = (input.first('submitter') ?: '').tokenize(', ')
    asked << [message: input.first('message'), submitters: allowed, agent: branch.workspace]
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
      requests: requests, asked: asked, log: log, archived: archived, junit: junit, description: description,
      variables: env.variables(),
      directives: directives.collectEntries { [(it.key): it.value.collect { [it[0], it[1].findAll { !(it instanceof Closure) }] }] },
    ]
  }

  void checkOut() {
    Process git = ['git', 'clone', '-q', scenario.repository, branch.workspace].execute()
    if (git.waitFor()) { throw new IllegalStateException(git.err.text) }
  }

  private synchronized String newWorkspace() {
    File made = new File("${scenario.folder}/workspace-${++workspaces}")
    made.mkdirs()
    made.path
  }

  private static List all() { Collections.synchronizedList([]) }
}
