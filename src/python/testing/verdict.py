"""From a version to its verdict: clone up, tests run, clone down, everything kept in the registry."""

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inspection

from cli import DataRefused, InfrastructureError
from comparison import history
from contracts.record import Record, Verdict
from dataset import Dataset, open_dataset, previous
from registry import Registry, utc_now
from serving.client import Client
from serving.pod import PodFailed
from serving.pod.guard import Guard
from testing import clone, plots, report, unserved
from testing.clone import Place
from testing.run import run
from testing.subject import MOST_IMAGES, Budget, Labelled, Subject

_JUDGED = ("candidate", "tested", "rejected")
# What the record's verdict says in detail; the whole account is in the report.
_DETAILS = (
    "metrics",
    "baseline",
    "baseline_version",
    "dataset",
    "budget",
    "model_server",
    "executor",
    "attempts",
    "first_try",
    "report",
)
_REPORT, _JSON, _JUNIT, _CONFUSION = "test.html", "verdict.json", "junit.xml", "confusion.png"
# Set by whoever starts this program in a container.
_EXECUTOR_VARIABLE = "TRAINYARD_EXECUTOR"


def make(
    registry: Registry,
    record: Record,
    dataset: str,
    max_unreadable: float,
    budget: Budget,
    place: Place | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Tests `record` and keeps the verdict: in the record, and as page, JSON and JUnit XML among its reports.

    A candidate becomes tested or rejected; a version that is or was in production keeps its state. What the inspection
    finds is rejected before anything loads it. A clone that fails is brought up once more; what then still fails is the
    model's fault if the model can be named as the cause, and no verdict otherwise.

    Raises:
        Tampered: a file of the model is not the one that was published.
        DataRefused: the dataset can't be used, or has no held-out image of a class.
        InfrastructureError: the clone did not come up, or stopped answering; there is no verdict then.
    """
    place = place or Place()
    stable = registry.serving().stable
    baseline = registry.record(stable) if stable is not None and stable != record.version else None
    if baseline and baseline.labels != record.labels:
        baseline = None  # another set of classes: nothing to compare
    # Images that neither of the two, nor an ancestor of theirs, was trained on.
    rules = (*previous.rules_of(record), *(previous.rules_of(baseline) if baseline else ()))
    images = open_dataset(dataset, max_unreadable, tuple(dict.fromkeys(rules)))
    held_out = _holdout(images, dataset, record)
    folder = Path(tempfile.mkdtemp(prefix="trainyard-clone-"))
    # The copies of the models are large: a kill must not leave them behind.
    guard = Guard()
    guard.tell(remove=str(folder))
    try:
        junit = folder / _JUNIT
        clone.fetch(registry, [record.version, *([baseline.version] if baseline else [])], folder)
        problems = inspection.problems(folder / registry.model / str(record.version), record.labels, record.image_size)

        def trial() -> dict[str, Any]:
            pod = clone.make(registry.model, record.version, baseline.version if baseline else None, folder, place)
            with pod, Client(pod.address) as client:
                try:
                    return run(Subject(client, pod, record, baseline, held_out, budget), junit)
                except InfrastructureError:
                    pod.check()  # which program ended, and why, says more than that nobody answers
                    raise

        if problems:
            made = unserved.verdict(record, baseline, "inspection", problems, junit) | {"model_server": None}
        else:
            made = _judge(trial, record, baseline, junit, say) | {"model_server": place.model_server}
        made["dataset"] = {"uri": dataset, "fingerprint": images.fingerprint}
        made["budget"] = dataclasses.asdict(budget)
        changed = history.changed(record, baseline, Path.cwd())
        made["changed"] = dataclasses.asdict(changed) if changed else None
        made |= {"executor": os.environ.get(_EXECUTOR_VARIABLE, place.executor), "at": utc_now()}
        if made.get("memory"):
            made["memory"]["limit_mib"] = place.memory_limit_mib
        made["report"] = registry.save_report(record.version, _REPORT, report.render(made, record))
        if made["metrics"]:
            confusion = plots.confusion(made["metrics"]["confusion"], record.labels)
            registry.save_report(record.version, _CONFUSION, confusion)
        registry.save_report(record.version, _JUNIT, junit.read_bytes())
    except InfrastructureError as error:
        # The servers' logs stay for whoever looks into it; the copies of the models need not.
        shutil.rmtree(folder / registry.model, ignore_errors=True)
        if str(folder) in str(error):
            raise
        raise InfrastructureError(f"{error} (logs: {folder / 'logs'})") from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        guard.dismiss()
    shutil.rmtree(folder, ignore_errors=True)
    registry.save_report(record.version, _JSON, json.dumps(made, indent=1).encode())
    _keep(registry, record.version, made)
    return made


def _judge(
    trial: Callable[[], dict[str, Any]],
    record: Record,
    baseline: Record | None,
    junit: Path,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """What `trial` says, which gets a second try where the first may have failed by the machine's fault."""
    try:
        made = trial()
        failed = "requests were not answered in time" if made["too_slow"] else None
    except InfrastructureError as error:
        failed = str(error)
    if failed is None:
        return made | {"attempts": 1, "first_try": None}
    say(f"The first try gave no verdict ({failed}); trying once more")
    try:
        made = trial()
    except PodFailed as error:
        if not _blames(error, record.version):
            raise
        made = unserved.verdict(record, baseline, "serving", [str(error)], junit)
    return made | {"attempts": 2, "first_try": failed}


def _blames(error: PodFailed, candidate: int) -> bool:
    """Whether it was the model that made the clone fail; production's has been served before."""
    return error.by_model and error.version in (None, candidate)


def _keep(registry: Registry, version: int, made: dict[str, Any]) -> None:
    verdict = Verdict(
        kind="test",
        passed=made["passed"],
        reasons=made["reasons"],
        at=made["at"],
        details={key: made.get(key) for key in _DETAILS},
    )

    def decide(newest: Record) -> dict[str, Any]:
        # By its state now: it may have been promoted while it was tested.
        state = {"state": "tested" if made["passed"] else "rejected"} if newest.state in _JUDGED else {}
        return {"verdicts": [*newest.verdicts, verdict], **state}

    registry.change(version, decide)


def _holdout(dataset: Dataset, uri: str, record: Record) -> list[Labelled]:
    by_class = {label: [image for image in dataset.part("test") if image.label == label] for label in record.labels}
    if missing := [label for label, images in by_class.items() if not images]:
        raise DataRefused(
            f"{uri} has no held-out image of {', '.join(missing)}, so version {record.version} can't be judged on it; "
            "name the dataset it was trained on, or add images (30 or more of every class)."
        )
    # Evenly from every class, so that each keeps its share and the smallest is still there.
    step = max(1, -(-sum(map(len, by_class.values())) // MOST_IMAGES))
    chosen = [image for images in by_class.values() for image in images[::step]]
    return [Labelled(image.path.name, image.path.read_bytes(), image.label) for image in chosen]
