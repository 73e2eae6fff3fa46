"""The Jenkinsfiles with the real `pipeline` and `promote`: what they call exists, and a build comes to what it says.

Made up is only what these two start by Pants: the build graph, training and the model tests.
"""

import json
import os
import sys

import pytest

from registry import Registry
from testkit.registries import MODEL, open_registry, promotable
from tests.jenkins.groovy import JENKINSFILES, Scenarios

OTHER = "digits"


def model_targets(name, code):
    """What the macro `model()` makes of a model's BUILD file."""
    folder = f"models/{name.replace('-', '_')}"
    return [
        {
            "address": f"{folder}:{pipeline}",
            "target_type": "target",
            "tags": [f"trigger:{pipeline}", f"model:{name}"],
            "dependencies": [code] if pipeline == "train" else [],
        }
        for pipeline in ("train", "retrain", "test")
    ]


GRAPH = [
    {"address": "src:model", "target_type": "python_sources", "sources": ["model.py"], "dependencies": []},
    {"address": "src:other", "target_type": "python_sources", "sources": ["other.py"], "dependencies": []},
    *model_targets(MODEL, "src:model"),
    *model_targets(OTHER, "src:other"),
    {"address": "t:test", "target_type": "python_test", "sources": ["test_it.py"], "dependencies": ["src:model"]},
]
OWNER = {"user": "ada", "groups": ["product-owners"], "proceed": True}
TRAIN, TEST = "run src/python/training:train", "run src/python/testing:test_model"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    scenarios = Scenarios(folder)
    scenarios.add_jobs("jobs", (JENKINSFILES / "controller" / "jobs.groovy").read_text(), models=[MODEL, OTHER])
    for file in ("model.py", "other.py"):
        (scenarios.repository / file).write_text("# a model\n")
    for name in (MODEL, OTHER):
        model = scenarios.repository / "models" / name.replace("-", "_")
        model.mkdir(parents=True)
        (model / "model.toml").write_text('task = "one label"\nfamily = "residual"\n')
    before = scenarios.commit("two models")
    (scenarios.repository / "model.py").write_text("# a better model\n")
    now = scenarios.commit("a better model")
    real = {
        "FAKE_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "TRAINYARD_MODEL_NAME": MODEL,
    }

    def add(name, jenkinsfile="Jenkinsfile", exits=None, **given):
        answers = {"graph": GRAPH, "result": {"version": 1, "report": "test.html"}, "exit": exits or {}}
        scenarios.add(name, jenkinsfile, answers=answers, env=real, **given)
        opened = open_registry(folder / name)
        promotable(opened, folder / name)
        opened.save_report(1, "junit.xml", b"<testsuites/>")

    add("model code", previous=before)
    add("gate", previous=before, exits={TRAIN: [3]})
    add("no change", previous=now)
    add("demand", previous=now, params={"DEMAND": "test", "MODEL": MODEL, "WHY": "drift"})
    promotion = {"MODEL": MODEL, "VERSION": "1", "REASON": "better"}
    add("promotion", "promote.Jenkinsfile", params=promotion, answer=OWNER, made="jobs", of="production/promote")
    back = {"MODEL": MODEL, "TO": "7", "REASON": "worse"}
    add("no rollback", "rollback.Jenkinsfile", params=back, answer=OWNER, made="jobs", of="production/rollback")
    results = scenarios.run()
    results["folder"] = folder
    return results


def mails(build):
    """Those that no mail server took, among the artifacts."""
    return [path.rsplit("/", 1)[-1] for path in build.archived if path.endswith(".eml")]


def test_push_of_model_code_is_checked_trained_tested_and_mailed(built):
    build = built["model code"]
    assert build.result == "SUCCESS", build.log
    assert [step for step in build.steps if step != "peek"] == ["test t:test", TRAIN, TEST]
    (version,) = [argv for step, argv in build.calls if step == TEST]
    assert version[version.index("--version") + 1] == "1"
    assert "model.py changed" in build.description
    assert any("passed-its-tests" in name for name in mails(build))
    assert build.mails == []
    archived = [path.rsplit("/", 1)[-1] for path in build.archived if f"/{MODEL}/" in path]
    assert {"run.json", "train.log", "test.log", "junit.xml"} <= set(archived)
    # The other model is neither trained nor named.
    assert OTHER not in build.description
    assert not [stage for stage in build.stages if stage["name"] == OTHER]


def test_missed_gate_fails_the_build_and_the_owner_has_a_mail(built):
    build = built["gate"]
    assert build.result == "FAILURE"
    assert TEST not in build.steps
    assert f"{MODEL}: gate not passed" in build.mails[0]["subject"]
    assert any("gate" in name for name in mails(build))


def test_without_a_change_nothing_is_called(built):
    assert built["no change"].result == "SUCCESS", built["no change"].log
    assert [step for step in built["no change"].steps if step != "peek"] == []


def test_demand_makes_its_pipeline_without_checks(built):
    build = built["demand"]
    assert build.result == "SUCCESS", build.log
    assert [step for step in build.steps if step != "peek"] == [TEST]
    assert build.description == f"{MODEL}: test was asked for: drift"


def test_approved_version_is_served_and_the_journal_says_by_whom_and_why(built):
    assert built["promotion"].result == "SUCCESS", built["promotion"].log
    opened = Registry.open(str(built["folder"] / "promotion" / "registry"), MODEL)
    assert opened.serving().stable == 1
    journal = json.dumps([entry.model_dump(mode="json") for entry in opened.journal.entries()])
    assert "ada" in journal
    assert "better" in journal
    assert len(mails(built["promotion"])) == 1


def test_rollback_to_what_is_not_there_fails_and_tells(built):
    build = built["no rollback"]
    assert (build.result, len(build.mails)) == ("FAILURE", 1)
