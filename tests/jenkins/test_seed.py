"""The jobs as the seed makes them: which models they offer, who may start them, and what a push can't reach."""

import re
import subprocess

import pytest

from tests.jenkins.groovy import JENKINSFILES, REPOSITORY_URL, TOKEN, Scenarios

CONTROLLER = JENKINSFILES / "controller"
JOBS = (CONTROLLER / "jobs.groovy").read_text()
SEED = (CONTROLLER / "seed.groovy").read_text()
# Of agents on GKE.
IMAGES = {"digest": f"example.com/us/jenkins-agent@sha256:{'a' * 64}", "unset": "unset", "none": None,
          "latest": "trainyard/jenkins-agent:latest", "tag": "example.com/us/jenkins-agent:1.2"}  # fmt: skip
IN_THE_IMAGE = "/usr/share/jenkins/casc/jobs.groovy"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    scenarios = Scenarios(tmp_path_factory.mktemp("seed"))
    scenarios.add_jobs("jobs", JOBS, models=["digits", "chest-xray"])
    scenarios.add_jobs("names", JOBS, models=["digits", "x; rm -rf /", "$(id)", "Up", "../../x"])
    scenarios.add_jobs("none", JOBS)
    scenarios.add_jobs("seed", SEED.replace(IN_THE_IMAGE, str(CONTROLLER / "jobs.groovy")))
    for name, image in IMAGES.items():
        given = f"'{image}'" if image is not None else "null"
        on_gke = SEED.replace("System.getenv('AGENT_IMAGE')", given)
        on_gke = on_gke.replace("System.getenv('CASC_JENKINS_CONFIG')", "'/usr/share/jenkins/casc/gke'")
        scenarios.add_jobs(f"image {name}", on_gke.replace(IN_THE_IMAGE, str(CONTROLLER / "jobs.groovy")))
    scenarios.add_jobs("misspelt", "pipelineJob('x') { parameters { choicesParam('A', ['b'], '') } }")
    scenarios.add_jobs("bound", "pipelineJob(SOMETHING) { }")
    return scenarios.run()


def inside(calls, *names):
    """The arguments of every call of the last name, in blocks of the others."""
    for call in calls:
        if call["name"] == names[0]:
            if len(names) == 1:
                yield call["given"]
            else:
                yield from inside(call["body"], *names[1:])


def jobs(result):
    named = [call for call in result.calls_made if call["name"] == "pipelineJob"]
    return {call["given"][0].rpartition("/")[2]: call["body"] for call in named}


@pytest.mark.parametrize("job", ["promote", "rollback", "request"])
def test_model_is_a_choice_of_the_models_that_main_has(made, job):
    (choice,) = [given for given in inside(jobs(made["jobs"])[job], "parameters", "choiceParam") if given[0] == "MODEL"]
    assert choice[1] == ["all"] * (job == "request") + ["chest-xray", "digits"]


def test_what_is_no_models_name_is_not_offered(made):
    (choice,) = inside(jobs(made["names"])["promote"], "parameters", "choiceParam")
    assert choice[1] == ["digits"]
    assert "no models" in made["none"].refused


def test_jobs_are_mains_from_the_controllers_own_repository(made):
    for job, body in jobs(made["jobs"]).items():
        git = ("definition", "cpsScm", "scm", "git")
        assert list(inside(body, *git, "branch")) == [["main"]]
        assert list(inside(body, *git, "remote", "url")) == [[REPOSITORY_URL]]
        assert list(inside(body, "definition", "cpsScm", "scriptPath")) == [[f"infra/jenkins/{job}.Jenkinsfile"]]
        assert (JENKINSFILES / f"{job}.Jenkinsfile").exists()


def test_whoever_starts_a_script_of_the_job_dsl_gives_it_nothing_but_names(made):
    # Its variables are the starter's (additionalParameters); a name that is none of its own would be one of them.
    assert "SOMETHING" in made["bound"].refused
    assert made["jobs"].account.get("refused") is None


def test_only_those_who_may_promote_start_a_promotion(made):
    builders = {
        job: {
            group["body"][0]["given"][0]
            for entry in body
            if entry["name"] == "properties"
            for matrix in entry["body"]
            if matrix["name"] == "authorizationMatrix"
            for entries in matrix["body"]
            for group in entries["body"]
            if group["name"] == "group" and "Job/Build" in group["body"][1]["given"][0]
        }
        for job, body in jobs(made["jobs"]).items()
    }
    assert builders == {
        "promote": {"product-owners"},
        "rollback": {"product-owners", "operators"},
        "request": {"data-scientists", "operators"},
        "roll-out": {"operators"},
    }
    for body in jobs(made["jobs"]).values():
        assert list(inside(body, "properties", "authorizationMatrix", "inheritanceStrategy", "nonInheriting")) == [[]]


def test_one_promotion_waits_for_the_other(made):
    waiting = {
        job for job, body in jobs(made["jobs"]).items() if list(inside(body, "properties", "disableConcurrentBuilds"))
    }
    assert waiting == {"promote", "rollback", "roll-out"}
    for job in waiting:
        given = inside(jobs(made["jobs"])[job], "properties", "disableConcurrentBuilds", "abortPrevious")
        assert list(given) == [[False]]


def test_request_has_a_schedule_and_a_call_whose_token_is_in_no_repository(made):
    triggers = ("properties", "pipelineTriggers", "triggers")
    body = jobs(made["jobs"])["request"]
    assert list(inside(body, *triggers, "cron", "spec"))
    # And no credential, which the builds of a branch could read.
    assert list(inside(body, *triggers, "genericTrigger", "token")) == [[TOKEN]]
    assert not list(inside(body, *triggers, "genericTrigger", "tokenCredentialId"))
    ((expression,),) = inside(body, *triggers, "genericTrigger", "regexpFilterExpression")
    for asked, known in {
        "retrain digits": True,
        "train all": True,
        "retrain cats": False,
        "promote digits": False,
    }.items():
        assert bool(re.search(expression, asked)) == known, asked


def test_seed_job_lists_the_models_and_runs_the_script_of_the_image_alone(made, tmp_path):
    calls = made["seed"].calls_made
    (body,) = [call["body"] for call in calls if call["name"] == "freeStyleJob" and call["given"] == ["setup/seed"]]
    ((script,),) = inside(body, "steps", "dsl", "text")
    assert script == JOBS.strip()
    # Script security runs no other, whatever a branch's Jenkinsfile gives to the step jobDsl.
    assert made["seed"].approved == [script]
    assert list(inside(calls, "queue")) == [["setup/seed"]]
    assert list(inside(body, "triggers", "scm"))
    ((shell,),) = inside(body, "steps", "shell")
    assert listed(shell, tmp_path) == ["chest-xray", "digits"]


def listed(shell, folder):
    for model in ("chest_xray", "digits"):
        (folder / "models" / model).mkdir(parents=True)
        (folder / "models" / model / "model.toml").touch()
    (folder / "models" / "no_model").mkdir()
    subprocess.run(["sh", "-xe", "-c", shell], cwd=folder, check=True, capture_output=True)
    return (folder / "models.txt").read_text().split()


@pytest.mark.parametrize("image", IMAGES)
def test_controller_on_gke_refuses_agents_of_an_image_that_anybody_could_replace(made, image):
    refused = made[f"image {image}"].account.get("refused")
    if image == "digest":
        assert refused is None
    else:
        assert "AGENT_IMAGE" in refused and "by its digest" in refused


def test_branches_are_built_by_their_own_jenkinsfile(made):
    found = {}
    for call in made["seed"].calls_made:
        if call["name"] == "multibranchPipelineJob":
            body = call["body"]
            assert list(inside(body, "factory", "workflowBranchProjectFactory", "scriptPath")) == [
                ["infra/jenkins/Jenkinsfile"]
            ]
            names = ("branchSources", "branchSource", "source", "git", "traits", "headWildcardFilter")
            found[call["given"][0]] = [next(inside(body, *names, part))[0] for part in ("includes", "excludes")]
    # Each branch is of one job.
    assert found == {"trainyard": ["main", ""], "branches": ["*", "main"]}


def test_there_are_no_pull_requests_and_the_page_says_so(made):
    for call in made["seed"].calls_made:
        if call["name"] == "multibranchPipelineJob":
            (source,) = next(s for s in call["body"] if s["name"] == "branchSources")["body"]
            (git,) = source["body"][0]["body"]
            (traits,) = [part["body"] for part in git["body"] if part["name"] == "traits"]
            assert (git["name"], {t["name"] for t in traits}) == ("git", {"gitBranchDiscovery", "headWildcardFilter"})
    page = (JENKINSFILES.parents[1] / "docs" / "operations" / "jenkins.md").read_text()
    assert "**Pull requests: none.**" in page


def test_misspelt_call_would_be_found(made):
    assert "choicesParam is not known" in made["misspelt"].refused
