// The jobs that are about a model of main, made by the seed job. Their parameters, schedule and options stand here and
// not in their Jenkinsfiles: a job that is written anew loses what a Jenkinsfile has added to it.
//
// Only names are taken from the repository, and from the seed job's variables nothing: whoever can start a script of
// Job DSL can set those.
import java.nio.file.Files
import java.nio.file.Path

final String REPOSITORY = System.getenv('REPOSITORY_URL')
final String KEY = 'trainyard-repository'
// Not a credential of the controller: every build could read it, a branch's too.
final String REQUEST_TOKEN = Files.readString(Path.of('/run/secrets/REQUEST_TOKEN')).trim()
final List<String> MODELS = readFileFromWorkspace('models.txt').readLines()
  .findAll { String name -> name ==~ /[a-z0-9]+(-[a-z0-9]+)*/ }.sort()

if (!REQUEST_TOKEN) {
  throw new IllegalStateException('REQUEST_TOKEN is empty: anybody could ask for a model')
}
if (!MODELS) {
  throw new IllegalStateException('main has no models/*/model.toml')
}

// job -> (description, who may start and stop it, builds that are kept, whether one waits for the other)
final Map<String, List> JOBS = [
  request: [
    'A model of main, asked for by schedule, by the monitor or by hand.', ['data-scientists', 'operators'], 50, false
  ],
  promote: ['A tested version into production, once a product owner approves.', ['product-owners'], 200, true],
  rollback: ['Back to a version that was in production before.', ['product-owners', 'operators'], 200, true],
  'roll-out': ['The programs that serve, as they are on main, once an operator agrees.', ['operators'], 50, true],
]
// job -> its folder. Only what is in one gets the agents of the cloud that it names (casc/gke.yaml): that may write to
// production, or that build and change the programs there.
final Map<String, String> FOLDERS = [promote: 'production', rollback: 'production', 'roll-out': 'release']

final Map<String, List<String>> CLOUDS = [
  production: ['What changes which model is served.', 'promote'],
  release: ['What changes the programs that serve.', 'release'],
]
CLOUDS.each { name, about ->
  folder(name) {
    description(about[0])
    properties {
      kubernetesFolderProperty {
        permittedClouds([about[1]])
      }
    }
  }
}

JOBS.each { job, about ->
  pipelineJob(FOLDERS.containsKey(job) ? "${FOLDERS[job]}/${job}".toString() : job) {
    description(about[0])
    logRotator {
      numToKeep(about[2])
    }
    parameters {
      if (job == 'request') {
        choiceParam('MODEL', ['all'] + MODELS, 'The model, or every one.')
        choiceParam('DEMAND', ['retrain', 'train', 'test'], 'The pipeline.')
        stringParam('WHY', 'weekly schedule', 'The model\'s record and the mail say so.')
      } else if (FOLDERS[job] == 'release') {
        stringParam('WHY', '', 'Why; the build says so.')
      } else {
        choiceParam('MODEL', MODELS, 'The model.')
        if (job == 'promote') {
          stringParam('VERSION', '', 'The tested version.')
        } else {
          stringParam('TO', '', 'The version; empty: the one before.')
        }
        stringParam('REASON', '', 'Why; the journal and the mail say so.')
      }
    }
    properties {
      if (about[3]) {
        disableConcurrentBuilds {
          abortPrevious(false)
        }
      }
      if (job == 'request') {
        pipelineTriggers {
          triggers {
            cron {
              spec('H 3 * * 1')
            }
            genericTrigger {
              token(REQUEST_TOKEN)
              genericVariables {
                genericVariable {
                  key('MODEL')
                  value('$.model')
                  defaultValue('all')
                }
                genericVariable {
                  key('DEMAND')
                  value('$.pipeline')
                }
                genericVariable {
                  key('WHY')
                  value('$.why')
                }
              }
              regexpFilterText('$DEMAND $MODEL')
              regexpFilterExpression("^(train|retrain|test) (all|${MODELS.join('|')})\$")
              causeString('asked for from outside')
              silentResponse(true)
            }
          }
        }
      }
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
        scriptPath("infra/jenkins/${job}.Jenkinsfile")
      }
    }
  }
}
