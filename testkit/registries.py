"""Registries for tests: models are a few bytes, a graph that may be loaded and values that nobody looks at."""

from pathlib import Path
from typing import Any

from contracts.record import Record
from registry import Keys, Registry
from testkit import graphs

MODEL = "chest-xray"
LABELS = ["COVID", "Normal", "Viral Pneumonia"]
IMAGE_SIZE = 64


def keys_in(folder: Path) -> Keys:
    """Those of the registry in `folder`, where commands look for them."""
    return Keys.of("", [], str(folder / "registry"))


def open_registry(folder: Path) -> Registry:
    return Registry.open(str(folder / "registry"), MODEL, keys_in(folder))


def model_folder(folder: Path, content: bytes = b"weights") -> Path:
    """A SavedModel that the inspection lets pass and TensorFlow would not load."""
    graphs.write(folder, graphs.meta_graph(len(LABELS), IMAGE_SIZE))
    (folder / "assets.extra").mkdir()
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(content)
    (folder / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"warm-up")
    return folder


def metrics(accuracy: float, recall: float = 0.8) -> dict[str, object]:
    one = {"precision": 0.75, "recall": recall, "f1": 0.77, "support": 20}
    return {
        "accuracy": accuracy,
        "images": 60,
        "per_class": {label: dict(one) for label in LABELS},
        "confusion": [[16, 2, 2], [3, 16, 1], [0, 4, 16]],
    }


def published(registry: Registry, folder: Path, **fields: Any) -> Record:
    """A new version in state "candidate", with files of its own."""
    defaults: dict[str, object] = {
        "labels": LABELS,
        "image_size": IMAGE_SIZE,
        "metrics": {"test": metrics(0.85)},
        "dataset": {
            "uri": "sample",
            "fingerprint": "f" * 64,
            "images": 300,
            "classes": {label: 100 for label in LABELS},
        },
    }
    record = registry.create("train", **(defaults | fields))
    return registry.publish(record.version, model_folder(folder / f"built-{record.version}", b"%d" % record.version))


def promotable(registry: Registry, folder: Path, **fields: Any) -> Record:
    """A new version in state "tested"."""
    record = published(registry, folder, **fields)
    verdict = {"kind": "test", "passed": True, "at": "2026-01-01T00:00:00Z"}
    return registry.add_verdict(record.version, verdict, state="tested")
