"""From a version to its verdict: clone up, tests run, clone down, everything kept in the registry."""

import dataclasses
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from cli import DataRefused, InfrastructureError
from dataset import Dataset, open_dataset
from registry import Record, Registry, Verdict, utc_now
from serving.client import Client
from testing import clone, plots, report
from testing.run import run
from testing.subject import MOST_IMAGES, Budget, Labelled, Subject

_JUDGED = ("candidate", "tested", "rejected")
# What the record's verdict says in detail; the whole account is in the report.
_DETAILS = ("metrics", "baseline", "baseline_version", "dataset", "budget", "model_server", "report")
_REPORT, _JSON, _JUNIT, _CONFUSION = "test.html", "verdict.json", "junit.xml", "confusion.png"


def make(registry: Registry, record: Record, dataset: str, max_unreadable: float, budget: Budget) -> dict[str, Any]:
    """Tests `record` and keeps the verdict: in the record, and as page, JSON and JUnit XML among its reports.

    A candidate becomes tested or rejected; a version that is or was in production keeps its state.

    Raises:
        Tampered: a file of the model is not the one that was published.
        DataRefused: the dataset can't be used, or has no held-out image of a class.
        InfrastructureError: the clone did not come up, or stopped answering; there is no verdict then.
    """
    stable = registry.serving().stable
    baseline = registry.record(stable) if stable is not None and stable != record.version else None
    if baseline and baseline.labels != record.labels:
        baseline = None  # another set of classes: nothing to compare
    images = open_dataset(dataset, max_unreadable)
    held_out = _holdout(images, dataset, record)
    folder = Path(tempfile.mkdtemp(prefix="trainyard-clone-"))
    try:
        junit = folder / _JUNIT
        pod = clone.make(registry, record.version, baseline.version if baseline else None, folder)
        with pod, Client(pod.address) as client:
            made = run(Subject(client, record, baseline, held_out, budget), junit)
        made["dataset"] = {"uri": dataset, "fingerprint": images.fingerprint}
        made["budget"] = dataclasses.asdict(budget)
        made |= {"model_server": "embedded", "executor": "local", "at": utc_now()}
        made["report"] = registry.save_report(record.version, _REPORT, report.render(made, record))
        registry.save_report(record.version, _CONFUSION, plots.confusion(made["metrics"]["confusion"], record.labels))
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
    shutil.rmtree(folder, ignore_errors=True)
    registry.save_report(record.version, _JSON, json.dumps(made, indent=1).encode())
    _keep(registry, record.version, made)
    return made


def _keep(registry: Registry, version: int, made: dict[str, Any]) -> None:
    verdict = Verdict(
        kind="test",
        passed=made["passed"],
        reasons=made["reasons"],
        at=made["at"],
        details={key: made[key] for key in _DETAILS},
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
