"""From a version to its verdict: clone up, tests run, clone down, everything kept in the registry."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from cli import InfrastructureError, UsageError
from dataset import open_dataset
from registry import Record, Registry, utc_now
from serving.client import Client
from testing import clone, report
from testing.run import run
from testing.subject import MOST_IMAGES, Budget, Labelled, Subject

_REPORT, _JSON, _JUNIT = "test.html", "verdict.json", "junit.xml"


def make(registry: Registry, record: Record, dataset: str, max_unreadable: float, budget: Budget) -> dict[str, Any]:
    """Tests `record` and keeps the verdict: in the record, and as page, JSON and JUnit XML among its reports.

    A candidate becomes tested or rejected; a version that is or was in production keeps its state.

    Raises:
        Tampered: a file of the model is not the one that was published.
        DataRefused: the dataset can't be used.
        InfrastructureError: the clone did not come up.
    """
    stable = registry.serving().stable
    baseline = registry.record(stable) if stable is not None and stable != record.version else None
    if baseline and baseline.labels != record.labels:
        baseline = None  # another set of classes: nothing to compare
    held_out = _holdout(dataset, max_unreadable, record)
    folder = Path(tempfile.mkdtemp(prefix="trainyard-clone-"))
    try:
        junit = folder / _JUNIT
        pod = clone.make(registry, record.version, baseline.version if baseline else None, folder)
        with pod, Client(pod.address) as client:
            made = run(Subject(client, record, baseline, held_out, budget), junit)
        made |= {"model_server": "embedded", "executor": "local", "at": utc_now()}
        made["report"] = registry.save_report(record.version, _REPORT, report.render(made, record))
        registry.save_report(record.version, _JUNIT, junit.read_bytes())
    except InfrastructureError:
        # The servers' logs stay for whoever looks into it; the copies of the models need not.
        shutil.rmtree(folder / registry.model, ignore_errors=True)
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    registry.save_report(record.version, _JSON, json.dumps(made, indent=1).encode())
    verdict = {
        "kind": "test",
        "passed": made["passed"],
        "reasons": made["reasons"],
        "at": made["at"],
        "details": {key: made[key] for key in ("metrics", "baseline", "baseline_version", "model_server", "report")},
    }
    state = "tested" if made["passed"] else "rejected"
    judged = record.state in ("candidate", "tested", "rejected")
    registry.add_verdict(record.version, verdict, **({"state": state} if judged else {}))
    return made


def _holdout(uri: str, max_unreadable: float, record: Record) -> list[Labelled]:
    images = [image for image in open_dataset(uri, max_unreadable).images if image.split == "test"]
    images = [image for image in images if image.label in record.labels]
    if not images:
        raise UsageError(
            f"{uri} has no held-out image of a class of version {record.version} ({', '.join(record.labels)}); "
            "name the dataset it was trained on."
        )
    # Spread evenly over the sorted list, so every class keeps its share.
    step = max(1, -(-len(images) // MOST_IMAGES))
    return [Labelled(image.path.name, image.path.read_bytes(), image.label) for image in images[::step]]
