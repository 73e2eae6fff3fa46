// Run when the controller starts: makes the job of all branches, and the seed job, which makes the others (jobs.groovy)
// and again whenever main's models/ has changed.
import java.nio.file.Files
import java.nio.file.Path
import org.jenkinsci.plugins.scriptsecurity.scripts.ScriptApproval
import org.jenkinsci.plugins.scriptsecurity.scripts.languages.GroovyLanguage

final String REPOSITORY = System.getenv('REPOSITORY_URL')
final String KEY = 'trainyard-repository'
// Of the controller's image, not of the repository: whoever may push may not write jobs.
final String JOBS = Files.readString(Path.of('/usr/share/jenkins/casc/jobs.groovy')).trim()

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

// Script security runs a script of Job DSL only once it is approved, and this one is ours.
ScriptApproval.get().preapprove(JOBS, GroovyLanguage.get())

freeStyleJob('seed') {
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
    }
  }
}

queue('seed')
