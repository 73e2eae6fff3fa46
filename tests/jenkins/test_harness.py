"""The harness refuses what Jenkins would refuse, or what it does not know: a test in it could say nothing else."""

import pytest

from tests.jenkins.groovy import Scenarios

PIPELINE = """
pipeline {{
  agent none
  {top}
  stages {{
    stage('One') {{
      agent {{ label 'any' }}
      {stage}
      steps {{
        {steps}
      }}
    }}
  }}
}}
void known() {{ echo('known') }}
"""


def jenkinsfile(top="", stage="", steps="echo('x')"):
    return PIPELINE.format(top=top, stage=stage, steps=steps)


FINE = {
    "plain": jenkinsfile(),
    "own method": jenkinsfile(steps="known()"),
    "groovy in script": jenkinsfile(steps="script { if (true) { known() } }"),
    "nested block": jenkinsfile(steps="withEnv(['A=b c']) { sh('test \"$A\" = \"b c\"') }"),
}
REFUSED = {
    "unknown step": (jenkinsfile(steps="frobnicate()"), "frobnicate is not known"),
    "unknown step in a method": (jenkinsfile(steps="known(); script { slackSend('x') }"), "slackSend is not known"),
    "misspelt argument": (jenkinsfile(steps="archiveArtifacts(artefacts: 'x')"), "no argument artefacts"),
    "unknown directive": (jenkinsfile(top="option { timeout(time: 1, unit: 'HOURS') }"), "option is not known"),
    "unknown directive of a stage": (jenkinsfile(stage="envrionment { A = 'b' }"), "envrionment is not known"),
    "unknown option": (jenkinsfile(top="options { disableConcurrent() }"), "disableConcurrent is not known"),
    "misspelt option": (jenkinsfile(top="options { timeout(minutes: 1) }"), "timeout has no argument minutes"),
    "unknown condition": (jenkinsfile(stage="when { brunch 'main' }"), "brunch is not known"),
    "unknown trigger": (jenkinsfile(top="triggers { chron('@daily') }"), "chron is not known"),
    "misspelt trigger": (jenkinsfile(top="triggers { GenericTrigger(tokenId: 'x') }"), "no argument tokenId"),
    "unknown post condition": (jenkinsfile(stage="post { failed { echo('x') } }"), "failed is not known"),
    "groovy among steps": (jenkinsfile(steps="if (true) { echo('x') }"), "expected a step"),
    "interpolated shell": (jenkinsfile(steps='sh(script: "echo ${env.A}")'), "literal"),
    "computed shell": (jenkinsfile(steps="script { String a = 'ls'; sh(a) }"), "literal"),
    "interpolated shell in a method": (jenkinsfile() + 'void other() { sh("echo ${env.A}") }', "literal"),
    "two kinds of body": (jenkinsfile(stage="parallel { stage('Two') { steps { echo('x') } } }"), "one of steps"),
}
FAILS = {
    "shell that fails": (jenkinsfile(steps="sh('exit 7')"), "exit code 7"),
    "missing file": (jenkinsfile(steps="archiveArtifacts('nothing.txt')"), "no file matches"),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    scenarios = Scenarios(tmp_path_factory.mktemp("harness"))
    for name, text in FINE.items():
        scenarios.add(name, text)
    for name, (text, _) in (REFUSED | FAILS).items():
        scenarios.add(name, text)
    return scenarios.run()


@pytest.mark.parametrize("name", FINE)
def test_what_jenkins_takes_runs(ran, name):
    assert ran[name].result == "SUCCESS", ran[name].account


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_refused_by_name(ran, name):
    assert ran[name].result == "REFUSED"
    assert REFUSED[name][1] in ran[name].refused


@pytest.mark.parametrize("name", FAILS)
def test_step_that_fails_fails_the_build(ran, name):
    assert ran[name].result == "FAILURE"
    assert any(FAILS[name][1] in line for line in ran[name].log)
