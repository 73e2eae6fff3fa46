/*
 * The directives and steps that Trainyard's Jenkinsfiles may use, each with its arguments; '' is the one without a name.
 * Kept by hand from Jenkins' documentation: "Pipeline Syntax" and "Pipeline Steps Reference" of the user handbook, and
 * the generic-webhook-trigger plugin's README.
 */
class Names {
  static final List<String> POST = [
    'always', 'changed', 'fixed', 'regression', 'aborted', 'failure', 'success', 'unstable', 'unsuccessful', 'notBuilt',
    'cleanup',
  ]

  static final Map<String, List<String>> TOP = none(['agent', 'stages', 'post', 'options', 'parameters', 'triggers'])
  static final Map<String, List<String>> STAGE =
    none(['agent', 'stages', 'steps', 'parallel', 'post', 'options', 'when', 'input'])
  static final Map<String, List<String>> AGENT = [label: ['']]
  static final Map<String, List<String>> PARAMETERS = [
    string: ['name', 'defaultValue', 'description', 'trim'],
    choice: ['name', 'choices', 'description'],
    booleanParam: ['name', 'defaultValue', 'description'],
  ]
  static final Map<String, List<String>> TRIGGERS = [
    cron: [''],
    GenericTrigger: [
      'token', 'tokenCredentialId', 'genericVariables', 'genericRequestVariables', 'genericHeaderVariables',
      'regexpFilterText', 'regexpFilterExpression', 'causeString', 'silentResponse', 'printPostContent',
      'printContributedVariables',
    ],
  ]
  static final Map<String, List<String>> OPTIONS = [
    disableConcurrentBuilds: ['abortPrevious'],
    buildDiscarder: [''],
    logRotator: ['numToKeepStr', 'daysToKeepStr', 'artifactNumToKeepStr', 'artifactDaysToKeepStr'],
    timeout: ['time', 'unit'],
  ]
  static final Map<String, List<String>> STAGE_OPTIONS = [
    timeout: ['time', 'unit'],
    retry: ['count', 'conditions'],
    agent: [],
    nonresumable: [],
  ]
  static final Map<String, List<String>> WHEN =
    [beforeAgent: [''], branch: [''], expression: [''], anyOf: [''], allOf: [''], not: ['']]
  static final Map<String, List<String>> INPUT =
    [message: [''], id: [''], ok: [''], submitter: [''], submitterParameter: ['']]

  static final Map<String, List<String>> STEPS = [
    sh: ['', 'script', 'returnStatus', 'returnStdout', 'label'],
    echo: ['', 'message'],
    error: ['', 'message'],
    script: [''],
    withEnv: ['', 'overrides'],
    timeout: ['', 'time', 'unit'],
    catchError: ['', 'message', 'buildResult', 'stageResult', 'catchInterruptions'],
    junit: ['', 'testResults', 'allowEmptyResults'],
    archiveArtifacts: ['', 'artifacts', 'allowEmptyArchive', 'fingerprint', 'excludes'],
    readJSON: ['file', 'text', 'returnPojo'],
    mail: ['to', 'cc', 'bcc', 'from', 'replyTo', 'subject', 'body', 'charset', 'mimeType'],
    deleteDir: [],
    build: ['job', 'parameters', 'propagate', 'wait', 'quietPeriod'],
    string: ['name', 'value'],
  ]

  /* Refuses a name that is not among `known`, and an argument that it does not have. */
  static void check(Map<String, List<String>> known, String name, List arguments, String where) {
    if (!known.containsKey(name)) {
      throw new Refused("${where}: ${name} is not known; known here: ${known.keySet().sort().join(', ')}")
    }
    for (argument in arguments) {
      List given = argument instanceof Map ? argument.keySet() as List : ['']
      List extra = given - known[name]
      if (extra) {
        throw new Refused("${where}: ${name} has no argument ${extra.collect { it ?: '(without a name)' }.join(', ')}")
      }
    }
  }

  private static Map<String, List<String>> none(List<String> names) { names.collectEntries { [(it): ['']] } }
}
