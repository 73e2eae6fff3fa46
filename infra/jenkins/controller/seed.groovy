// Run when the controller starts: makes the jobs of branches, and the seed job, which makes the others (jobs.groovy)
// and again whenever main's models/ has changed.
import java.nio.file.Files
import java.nio.file.Path
import org.jenkinsci.plugins.scriptsecurity.scripts.ScriptApproval
import org.jenkinsci.plugins.scriptsecurity.scripts.languages.GroovyLanguage

final String REPOSITORY = System.getenv('REPOSITORY_URL')
final String KEY = 'trainyard-repository'
// Of the controller's image, not of the repository: whoever may push may not write jobs.
final String JOBS = Files.readString(Path.of('/usr/share/jenkins/casc/jobs.groovy')).trim()

// Agents train beside the signing key, so nobody may put another image under the name of theirs.
final String AGENT_IMAGE = System.getenv('AGENT_IMAGE')
if (System.getenv('CASC_JENKINS_CONFIG')?.endsWith('/gke') && !(AGENT_IMAGE ==~ /.+@sha256:[0-9a-f]{64}/)) {
  throw new IllegalStateException("AGENT_IMAGE is '${AGENT_IMAGE}': name the agents' image by its digest " +
    '(REGISTRY/jenkins-agent@sha256:...) in infra/jenkins/gke/kustomization.yaml')
}

// The cloud of reviewed code, whose agents may train beside the signing key.
final List<String> REVIEWED = ['train']
// Two jobs of one repository: main's Jenkinsfile was reviewed. Any other branch's may be anybody's, so nothing but the
// cloud for checks is theirs, whatever label or pod they ask for. That one is not main's: a pod that a branch's build
// makes up there under a label of main's would be given main's work.
final Map<String, List> BRANCHES = [
  trainyard: ['What a push to main asks for.', 'main', '', REVIEWED],
  branches: ['What a push to any other branch asks for.', '*', 'main', ['check']],
]

BRANCHES.each { job, about ->
  multibranchPipelineJob(job) {
    description(about[0])
    properties {
      kubernetesFolderProperty {
        permittedClouds(about[3])
      }
    }
    branchSources {
      branchSource {
        source {
          git {
            id(job)
            remote(REPOSITORY)
            credentialsId(KEY)
            traits {
              // Full clones: what changed since the last success is found in the history.
              gitBranchDiscovery()
              headWildcardFilter {
                includes(about[1])
                excludes(about[2])
              }
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
}

// Script security runs a script of Job DSL only once it is approved, and this one is ours.
ScriptApproval.get().preapprove(JOBS, GroovyLanguage.get())

// Its one shell command is the controller's own, and clouds are given to folders.
folder('setup') {
  description('What makes the other jobs.')
  properties {
    kubernetesFolderProperty {
      permittedClouds(REVIEWED)
    }
  }
}

freeStyleJob('setup/seed') {
  description('Makes the jobs Promote, Rollback and Request, with the models that main has.')
  label('trainyard-check')
  logRotator {
    numToKeep(20)
  }
  scm {
    git {
      remote {
        url(REPOSITORY)
        credentials(KEY)
      }
      branch('main')
    }
  }
  triggers {
    scm('H/5 * * * *')
  }
  properties {
    authorizationMatrix {
      inheritanceStrategy {
        nonInheriting()
      }
      entries {
        group {
          name('operators')
          permissions(['Job/Read', 'Job/Build'])
        }
      }
    }
  }
  steps {
    // A model is a folder; its name is the folder's, with - for _ (src/python/models).
    shell('for file in models/*/model.toml; do basename "$(dirname "$file")" | tr _ -; done > models.txt')
    dsl {
      text(JOBS)
      // Jobs of an earlier version, by names that are no more.
      removeAction('DISABLE')
    }
  }
}

queue('setup/seed')
