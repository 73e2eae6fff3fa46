"""What is kept of a verdict, and what it is made on; the clone and the tests in it are stand-ins."""

import contextlib
import json
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest

from cli import DataRefused, InfrastructureError, UsageError
from contracts.record import DatasetUsed
from dataset import Dataset, LabelledImage
from registry import Registry, ServingState
from serving.pod import PodFailed
from testing import verdict as verdicts
from testing.__main__ import _newest
from testing.subject import MOST_IMAGES, Budget

LABELS = ["COVID", "Normal"]


@pytest.fixture
def registry(tmp_path):
    return Registry.open(str(tmp_path / "registry"), "m")


def add(registry, state="candidate"):
    version = registry.create("train", labels=LABELS).version
    path = {"training": [], "rejected": ["rejected"], "candidate": ["candidate"]}.get(state, ["candidate", "tested"])
    path = path + {"production": ["production"], "retired": ["production", "retired"]}.get(state, [])
    for step in path:
        registry.update(version, state=step)
    return version


def serve(registry, version):
    registry.write_serving(ServingState((version,), {"stable": version}, registry.serving().generation))


def dataset(tmp_path, **images):
    """So many held-out images of each class."""
    file = tmp_path / "image.png"
    file.write_bytes(b"image")
    listed = [LabelledImage(file, label, f"{i:064}", "test") for label, n in images.items() for i in range(n)]
    return Dataset(tmp_path, sorted(images), listed, "f" * 64, {})


@pytest.fixture
def make(registry, tmp_path, monkeypatch):
    """make(version, passed=…, meanwhile=…): a verdict of tests that end so, `meanwhile` being called during them."""

    def make(version, passed=True, meanwhile=lambda: None, images=None, problems=(), too_slow=False):
        def run(subject, junit):
            meanwhile()
            junit.write_text("<testsuites/>")
            figures = {"accuracy": 0.5, "images": 2, "per_class": {}, "confusion": []}
            reasons = [] if passed else ["too low"]
            made = {
                "version": version,
                "passed": passed,
                "reasons": reasons,
                "baseline_version": None,
                "baseline": None,
            }
            return made | {"metrics": figures, "tests": [], "seconds": 1.0, "too_slow": too_slow}

        monkeypatch.setattr(verdicts.clone, "fetch", lambda *_: None)
        monkeypatch.setattr(verdicts.inspection, "problems", lambda *_: list(problems))
        monkeypatch.setattr(verdicts.clone, "make", lambda *_: _Pod())
        monkeypatch.setattr(verdicts, "run", run)
        images = images or dataset(tmp_path, COVID=1, Normal=1)
        monkeypatch.setattr(verdicts, "open_dataset", lambda *_: images)
        return verdicts.make(registry, registry.record(version), "xrays", 0.0, Budget(0.8, 0.7, 0.02))

    return make


class _Pod(contextlib.nullcontext):
    address = "127.0.0.1:1"

    def check(self):
        pass


class Trials:
    """Ends the first tries as told, one exception or None each; those after them end well."""

    def __init__(self, *ends):
        self.ends, self.count = list(ends), 0

    def __call__(self):
        self.count += 1
        if self.ends and (end := self.ends.pop(0)):
            raise end


def test_verdict_says_what_it_was_made_on(registry, make, tmp_path):
    version = add(registry)
    made = make(version)
    kept = json.loads((tmp_path / f"registry/m/reports/{version}/verdict.json").read_text())
    for account in (made, kept, registry.record(version).verdicts[-1].details):
        assert account["dataset"] == {"uri": "xrays", "fingerprint": "f" * 64}
        assert account["budget"].items() >= {"min_accuracy": 0.8, "min_recall": 0.7, "tolerance": 0.02}.items()
    page = (tmp_path / f"registry/m/reports/{version}/test.html").read_text()
    for said in ("xrays", "f" * 64, "0.8", "0.7", "0.02"):
        assert f">{said}<" in page


def test_verdict_says_what_changed_since_production(registry, make, tmp_path):
    served, version = add(registry, "production"), add(registry)
    serve(registry, served)
    for number, classes in ((served, {"COVID": 5, "Normal": 5}), (version, {"COVID": 7, "Normal": 5})):
        used = DatasetUsed(uri="xrays", fingerprint=f"{number:064}", images=sum(classes.values()), classes=classes)
        registry.update(number, dataset=used)
    made = make(version)
    assert made["changed"]["images"] == "COVID +2 (now 7)"
    assert "COVID +2 (now 7)" in (tmp_path / f"registry/m/reports/{version}/test.html").read_text()
    assert make(served)["changed"] is None


def test_confusion_is_kept_as_a_picture(registry, make):
    version = add(registry)
    make(version)
    assert registry.read_report(version, "confusion.png").startswith(b"\x89PNG")


@pytest.mark.parametrize("passed", [True, False])
def test_version_promoted_while_it_was_tested_keeps_its_state_and_gets_the_verdict(registry, make, passed):
    version = add(registry, "tested")
    make(version, passed, lambda: registry.update(version, state="production"))
    record = registry.record(version)
    assert record.state == "production"
    assert [verdict.passed for verdict in record.verdicts] == [passed]


@pytest.mark.parametrize("error", [InfrastructureError("Silence."), SystemExit(143), KeyboardInterrupt()])
def test_run_without_a_verdict_leaves_nothing_behind(registry, make, tmp_path, error):
    def fail():
        raise error

    version = add(registry)
    with pytest.raises(type(error)) as raised:
        make(version, meanwhile=fail)
    assert registry.record(version).state == "candidate"
    assert registry.record(version).verdicts == []
    assert not (tmp_path / "registry/m/reports").exists()
    if isinstance(error, InfrastructureError):
        assert str(raised.value).startswith("Silence. (logs: ")


def test_clone_that_fails_once_is_brought_up_again_and_the_verdict_says_so(registry, make):
    version = add(registry)
    trials = Trials(InfrastructureError("Silence."))
    made = make(version, meanwhile=trials)
    assert (made["passed"], made["attempts"], made["first_try"]) == (True, 2, "Silence.")
    assert trials.count == 2
    assert registry.record(version).verdicts[-1].details["first_try"] == "Silence."


def test_clone_that_fails_twice_gives_no_verdict(registry, make):
    version = add(registry)
    trials = Trials(InfrastructureError("Silence."), InfrastructureError("Silence."))
    with pytest.raises(InfrastructureError):
        make(version, meanwhile=trials)
    assert trials.count == 2
    assert registry.record(version).verdicts == []


@pytest.mark.parametrize("blamed", [None, 2])
def test_model_that_breaks_the_clone_twice_is_rejected(registry, make, blamed):
    serve(registry, add(registry, "production"))
    version = add(registry)
    crash = PodFailed("the model server crashed (SIGSEGV)", by_model=True, version=blamed)
    made = make(version, meanwhile=Trials(crash, crash))
    assert made["reasons"] == ["the model server crashed (SIGSEGV)"]
    assert made["metrics"] is None
    assert registry.record(version).state == "rejected"
    junit = ElementTree.fromstring(registry.read_report(version, "junit.xml"))
    assert junit.find(".//failure").get("message") == "the model server crashed (SIGSEGV)"


def test_production_that_breaks_the_clone_is_no_verdict_on_the_candidate(registry, make):
    production = add(registry, "production")
    serve(registry, production)
    version = add(registry)
    error = PodFailed("can't be loaded", by_model=True, version=production)
    with pytest.raises(InfrastructureError, match="can't be loaded"):
        make(version, meanwhile=Trials(error, error))
    assert registry.record(version).state == "candidate"


def test_answers_that_came_too_late_get_a_second_try(registry, make):
    trials = Trials()
    made = make(add(registry), passed=False, meanwhile=trials, too_slow=True)
    assert trials.count == made["attempts"] == 2
    assert not made["passed"]


def test_what_the_inspection_finds_is_rejected_before_anything_loads_it(registry, make):
    version = add(registry)
    trials = Trials()
    made = make(version, meanwhile=trials, problems=["the graph has the operation ReadFile"])
    assert trials.count == 0
    assert made["reasons"] == ["the graph has the operation ReadFile"]
    assert made["model_server"] is None
    assert registry.record(version).state == "rejected"


def test_class_without_held_out_image_is_refused_by_name(registry, make, tmp_path):
    version = add(registry)
    with pytest.raises(DataRefused, match=r"no held-out image of Normal.*add images"):
        make(version, images=dataset(tmp_path, COVID=3))
    assert registry.record(version).state == "candidate"


def test_small_class_is_never_left_out(tmp_path):
    images = dataset(tmp_path, COVID=10 * MOST_IMAGES + 1, Normal=1)
    held_out = verdicts._holdout(images, "xrays", SimpleNamespace(version=1, labels=LABELS))
    assert {item.label for item in held_out} == set(LABELS)
    assert len(held_out) <= MOST_IMAGES + len(LABELS)


@pytest.mark.parametrize(
    ("states", "stable", "chosen"),
    [
        (["candidate", "production"], 2, 2),  # an old candidate was passed over
        (["tested", "production", "candidate"], 2, 3),
        (["production", "candidate", "tested"], 1, 3),
        (["candidate", "rejected"], None, 1),
        (["production", "retired"], 1, 1),
    ],
)
def test_newest_version_on_its_way_to_production_is_chosen(registry, states, stable, chosen):
    for state in states:
        add(registry, state)
    if stable:
        serve(registry, stable)
    assert _newest(registry).version == chosen


def test_nothing_to_test_is_said(registry):
    add(registry, "rejected")
    with pytest.raises(UsageError, match="no version"):
        _newest(registry)
