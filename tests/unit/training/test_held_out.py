"""How often models were judged on the same held-out images."""

from pathlib import Path

from contracts.record import Record
from dataset.model import Dataset, LabelledImage
from training.run.held_out import digest_of, times_judged

METRICS = {"test": {"accuracy": 0.5, "images": 2, "per_class": {}, "confusion": []}}


def record(version: int, held_out: str = "", judged: bool = True, fingerprint: str = "f", test: float = 0.2) -> Record:
    used = {
        "uri": "x",
        "fingerprint": fingerprint,
        "images": 3,
        "classes": {},
        "splits": [{"test": test, "validation": 0.1}],
    }
    return Record.model_validate(
        {
            "version": version,
            "model": "m",
            "state": "rejected" if version % 2 else "candidate",
            "kind": "train",
            "created": "2026-01-01T00:00:00Z",
            "dataset": used,
            "held_out": held_out,
            "metrics": METRICS if judged else {},
        }
    )


def dataset(*tested: str, label: str = "a", others: tuple[str, ...] = ("z",)) -> Dataset:
    images = [LabelledImage(Path(digest), label, digest, "test") for digest in tested]
    images += [LabelledImage(Path(digest), label, digest, "train") for digest in others]
    return Dataset(Path(), ["a", "b"], images, "fingerprint", {})


def test_digest_is_that_of_the_held_out_images_and_their_classes_alone():
    digest = digest_of(dataset("1", "2"))
    assert digest == digest_of(dataset("2", "1", others=("y", "x")))
    assert digest != digest_of(dataset("1"))
    assert digest != digest_of(dataset("1", "2", label="b"))


def test_every_version_that_was_judged_counts_rejected_ones_too():
    records = [record(1, "d"), record(2, "d"), record(3, "other"), record(4, "d", judged=False), record(5)]
    assert times_judged(record(5), "d", records) == 3


def test_version_is_counted_once_however_often_it_is_asked():
    own = record(2, "d")
    assert times_judged(own, "d", [record(1, "d"), own]) == 2


def test_older_record_counts_where_dataset_and_split_are_the_same():
    records = [record(1), record(2, fingerprint="g"), record(3, test=0.3)]
    assert times_judged(record(4), "d", records) == 2
