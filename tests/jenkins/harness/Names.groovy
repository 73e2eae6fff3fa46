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
    stage: ['', 'name'],
    node: ['', 'label'],
    checkout: ['', 'scm'],
    retry: ['', 'count', 'conditions'],
    agent: [],
    nonresumable: [],
    sleep: ['', 'time', 'unit'],
    catchError: ['', 'message', 'buildResult', 'stageResult', 'catchInterruptions'],
    junit: ['', 'testResults', 'allowEmptyResults'],
    archiveArtifacts: ['', 'artifacts', 'allowEmptyArchive', 'fingerprint', 'excludes'],
    fileExists: ['', 'file'],
    readJSON: ['file', 'text', 'returnPojo'],
    mail: ['to', 'cc', 'bcc', 'from', 'replyTo', 'subject', 'body', 'charset', 'mimeType'],
    deleteDir: [],
    stash: ['name', 'includes'],
    unstash: ['', 'name'],
    build: ['job', 'parameters', 'propagate', 'wait', 'quietPeriod'],
    string: ['name', 'value'],
  ]

  /*
   * Calls of the Job DSL, with those that may stand in their blocks; null where there is none. From job-dsl-core's contexts
   * (BuildParametersContext, GitContext, StepContext …), its docs/Migration.md for the properties of a pipeline, and the
   * README of generic-webhook-trigger.
   */
  private static final Map GIT = [remote: [url: null, credentials: null], branch: null]
  private static final Map MATRIX = [
    inheritanceStrategy: [nonInheriting: null], entries: [group: [name: null, permissions: null]],
  ]
  private static final Map VARIABLE = [key: null, value: null, defaultValue: null]
  private static final Map TRAITS = [gitBranchDiscovery: null, headWildcardFilter: [includes: null, excludes: null]]
  private static final Map CLOUDS = [kubernetesFolderProperty: [permittedClouds: null]]
  static final Map DSL = [
    folder: [description: null, properties: CLOUDS],
    multibranchPipelineJob: [
      description: null, properties: CLOUDS,
      branchSources: [
        branchSource: [source: [git: [id: null, remote: null, credentialsId: null, traits: TRAITS]]],
      ],
      factory: [workflowBranchProjectFactory: [scriptPath: null]],
      orphanedItemStrategy: [discardOldItems: [numToKeep: null]],
      triggers: [periodicFolderTrigger: [interval: null]],
    ],
    freeStyleJob: [
      description: null, label: null, logRotator: [numToKeep: null], scm: [git: GIT], triggers: [scm: null],
      properties: [authorizationMatrix: MATRIX], steps: [shell: null, dsl: [text: null, removeAction: null]],
    ],
    pipelineJob: [
      description: null, logRotator: [numToKeep: null], parameters: [choiceParam: null, stringParam: null],
      properties: [
        disableConcurrentBuilds: [abortPrevious: null],
        authorizationMatrix: MATRIX,
        pipelineTriggers: [
          triggers: [
            cron: [spec: null],
            genericTrigger: [
              token: null, tokenCredentialId: null, genericVariables: [genericVariable: VARIABLE],
              regexpFilterText: null, regexpFilterExpression: null, causeString: null, silentResponse: null,
            ],
          ],
        ],
      ],
      definition: [cpsScm: [scm: [git: GIT], scriptPath: null]],
    ],
    queue: null,
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
