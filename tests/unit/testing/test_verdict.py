"""What is kept of a verdict, and what it is made on; the clone and the tests in it are stand-ins."""

import contextlib
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli import DataRefused, InfrastructureError, UsageError
from contracts.record import DatasetUsed, Metrics, Record
from contracts.verdict import Fault, ModelVerdict, OneTest
from dataset import Dataset, LabelledImage
from registry import Registry, ServingState
from serving.pod import PodFailed
from settings import Settings
from testing import choice, held_out, report
from testing import verdict as verdicts
from testing.clone import Place
from testing.faults import BrokenTests
from testing.subject import MOST_IMAGES
from tests.unit.testing.records import budget

LABELS = ["COVID", "Normal"]
# The registry that a test of an older version of Trainyard left.
EARLIER = Path(__file__).parents[2] / "fixtures/yard_06dacbc/registry/shapes"


@pytest.fixture
def registry(tmp_path):
    return Registry.open(str(tmp_path / "registry"), "m")


def add(registry, state="candidate"):
    version = registry.create("train", labels=LABELS, image_size=8).version
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
        def run(subject, junit, own=None, progress=None):
            meanwhile()
            junit.write_text("<testsuites/>")
            return ModelVerdict(
                version=version,
                passed=passed,
                reasons=[] if passed else ["too low"],
                metrics=Metrics(accuracy=0.5, images=2, per_class={}, confusion=[]),
                tests=[OneTest(name="t", outcome="passed", seconds=1, suite=suite) for suite in ("common", "m", "m")],
                seconds=1.0,
                too_slow=too_slow,
            )

        monkeypatch.setattr(verdicts.clone, "fetch", lambda *_: None)
        monkeypatch.setattr(verdicts.inspection, "problems", lambda *_: list(problems))
        monkeypatch.setattr(verdicts.clone, "make", lambda *_: _Pod())
        monkeypatch.setattr(verdicts, "run", run)
        images = images or dataset(tmp_path, COVID=1, Normal=1)
        monkeypatch.setattr(held_out, "open_dataset", lambda *_, **__: images)
        limits, place = budget(min_accuracy=0.8, min_recall=0.7, tolerance=0.02), Place.of(Settings())
        return verdicts.make(registry, registry.record(version), "xrays", 0.0, limits, place)

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
    for account in (made.as_json(), kept, registry.record(version).verdicts[-1].details):
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
    assert made.changed.images == "COVID +2 (now 7)"
    assert "COVID +2 (now 7)" in (tmp_path / f"registry/m/reports/{version}/test.html").read_text()
    assert make(served).changed is None


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
def test_run_without_a_verdict_leaves_nothing_behind(registry, make, tmp_path, monkeypatch, error):
    (own := tmp_path / "own").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(own))

    def fail():
        raise error

    version = add(registry)
    with pytest.raises(type(error)) as raised:
        make(version, meanwhile=fail)
    assert registry.record(version).state == "candidate"
    assert registry.record(version).verdicts == []
    assert not (tmp_path / "registry/m/reports").exists()
    assert str(raised.value) == str(error)
    assert list(own.iterdir()) == []


def test_logs_of_a_clone_that_fails_are_kept_and_named_and_nothing_else_is(registry, make, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail():
        (folder,) = tmp_path.glob("trainyard-clone-*")
        (folder / "m/1").mkdir(parents=True, exist_ok=True)
        (folder / "logs").mkdir(exist_ok=True)
        (folder / "logs/adapter.log").write_text("Out of threads.")
        raise InfrastructureError("Silence.")

    version = add(registry)
    with pytest.raises(InfrastructureError) as raised:
        make(version, meanwhile=fail)
    (folder,) = tmp_path.glob("trainyard-clone-*")
    assert str(raised.value) == f"Silence. (logs: {folder / 'logs'})"
    assert (folder / "logs/adapter.log").read_text() == "Out of threads."
    assert not (folder / "m").exists()


def test_clone_that_fails_once_is_brought_up_again_and_the_verdict_says_so(registry, make):
    version = add(registry)
    trials = Trials(InfrastructureError("Silence."))
    made = make(version, meanwhile=trials)
    assert (made.passed, made.attempts, made.first_try) == (True, 2, "Silence.")
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
    assert made.reasons == ["the model server crashed (SIGSEGV)"]
    assert made.metrics is None
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
    assert trials.count == made.attempts == 2
    assert not made.passed


def test_what_the_inspection_finds_is_rejected_before_anything_loads_it(registry, make):
    version = add(registry)
    trials = Trials()
    made = make(version, meanwhile=trials, problems=["the graph has the operation ReadFile"])
    assert trials.count == 0
    assert made.reasons == ["the graph has the operation ReadFile"]
    assert made.model_server is None
    assert registry.record(version).state == "rejected"


def test_class_without_held_out_image_is_refused_by_name(registry, make, tmp_path):
    version = add(registry)
    with pytest.raises(DataRefused, match=r"no held-out image of Normal.*add images"):
        make(version, images=dataset(tmp_path, COVID=3))
    assert registry.record(version).state == "candidate"


def test_small_class_is_never_left_out(tmp_path):
    images = dataset(tmp_path, COVID=10 * MOST_IMAGES + 1, Normal=1)
    asked = held_out.chosen(images, "xrays", SimpleNamespace(version=1, labels=LABELS))
    assert {item.label for item in asked} == set(LABELS)
    assert len(asked) <= MOST_IMAGES + len(LABELS)


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
    assert choice.newest(registry).version == chosen


def test_nothing_to_test_is_said(registry):
    with pytest.raises(UsageError, match="no version of 'm' to test; train one first"):
        choice.newest(registry)


def test_rejected_version_is_named_where_nothing_else_is_there(registry):
    version = registry.create("train", labels=LABELS).version
    registry.update(version, files={"saved_model.pb": "0" * 64})
    registry.update(version, state="rejected")
    with pytest.raises(
        UsageError, match=f"Version {version} was rejected.*test_model -- --version {version} --registry x"
    ):
        choice.newest(registry, ["--registry", "x"])


def missed(registry):
    """A version that was not good enough to be saved."""
    version = registry.create("train", labels=LABELS, image_size=8).version
    gate = {"kind": "gate", "passed": False, "reasons": ["accuracy 0.500 is below 0.85"], "at": "now"}
    registry.add_verdict(version, gate, state="rejected")
    return version


def test_version_that_missed_its_gate_is_said_to_have_no_files(registry):
    version = missed(registry)
    with pytest.raises(UsageError, match=r"missed its gate \(accuracy 0\.500 is below 0\.85\), so no files of it were"):
        choice.named(registry, version)
    with pytest.raises(UsageError, match=f"Version {version} missed its gate, so its files were not kept"):
        choice.newest(registry)


def test_tests_that_went_wrong_leave_the_version_as_it_was(registry, make, tmp_path):
    def went_wrong():
        raise BrokenTests(version, [Fault(file="src/x.py", name="test_it", error="KeyError: 'x'")])

    version = add(registry)
    with pytest.raises(BrokenTests, match=r"not version 1: src/x\.py::test_it: KeyError: 'x'") as raised:
        make(version, meanwhile=went_wrong)
    assert raised.value.exit_code == 2
    assert raised.value.as_json()["broken"] == [{"file": "src/x.py", "name": "test_it", "error": "KeyError: 'x'"}]
    assert registry.record(version).state == "candidate"
    assert registry.record(version).verdicts == []
    assert not (tmp_path / "registry/m/reports").exists()


def test_record_tells_how_many_tests_were_the_models_own(registry, make):
    version = add(registry)
    make(version)
    assert registry.record(version).verdicts[-1].details["suites"] == {"common": 1, "m": 2}


def test_verdict_of_an_earlier_trainyard_is_read_and_shown():
    old = json.loads((EARLIER / "reports/2/verdict.json").read_text())
    read = ModelVerdict.model_validate(old)
    assert (read.intervals, read.allowed_for_chance, read.broken) == (None, [], [])
    told = read.as_json()
    for field, value in old.items():
        assert told[field] == ([test | {"suite": "common"} for test in value] if field == "tests" else value), field
    page = report.render(read, Record.model_validate_json((EARLIER / "records/2.json").read_text())).decode()
    assert "pictures that are no xrays get no certain answer[noise]" in page
    assert "minimum recall of every class" in page
