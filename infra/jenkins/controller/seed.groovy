// The jobs, made by the Job DSL plugin when the controller starts.
final String REPOSITORY = System.getenv('REPOSITORY_URL')
final String KEY = 'trainyard-repository'

multibranchPipelineJob('trainyard') {
  description('What a push asks for.')
  branchSources {
    branchSource {
      source {
        git {
          id('trainyard')
          remote(REPOSITORY)
          credentialsId(KEY)
          traits {
            // Full clones: what changed since the last success is found in the history.
            gitBranchDiscovery()
          }
        }
      }
    }
  }
  factory {
    workflowBranchProjectFactory {
      scriptPath('infra/jenkins/Jenkinsfile')
    }
  }
  orphanedItemStrategy {
    discardOldItems {
      numToKeep(20)
    }
  }
  triggers {
    // A push is told by the Git server's hook (git/notifyCommit); this finds what such a call missed.
    periodicFolderTrigger {
      interval('5m')
    }
  }
}

// job -> (description, who may start and stop it, parameters that its first build must already have)
final Map<String, List> JOBS = [
  request: ['A model of main, asked for by schedule, by the monitor or by hand.', ['data-scientists', 'operators'], []],
  promote: [
    'A tested version into production, once a product owner approves.', ['product-owners'], ['VERSION', 'REASON']
  ],
  rollback: [
    'Back to a version that was in production before.', ['product-owners', 'operators'], ['TO', 'REASON']
  ],
]

JOBS.each { name, about ->
  pipelineJob(name) {
    description(about[0])
    parameters {
      about[2].each { parameter -> stringParam(parameter, '', '') }
    }
    properties {
      authorizationMatrix {
        // Nothing from above: who may build a branch may not promote.
        inheritanceStrategy {
          nonInheriting()
        }
        entries {
          ['data-scientists', 'product-owners', 'operators'].each { team ->
            group {
              name(team)
              permissions(team in about[1] ? ['Job/Read', 'Job/Build', 'Job/Cancel'] : ['Job/Read'])
            }
          }
        }
      }
    }
    definition {
      cpsScm {
        scm {
          git {
            remote {
              url(REPOSITORY)
              credentials(KEY)
            }
            branch('main')
          }
        }
        scriptPath("infra/jenkins/${name}.Jenkinsfile")
      }
    }
  }
}

// What starts `request` is written in its Jenkinsfile, which Jenkins reads in a first build; that one asks for nothing.
if (!jenkins.model.Jenkins.get().getItem('request')) {
  queue('request')
}
