"""How often models were judged on the same held-out images."""

from contracts.record import Record
from training.run.held_out import times_judged

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


def test_every_version_that_was_judged_counts_rejected_ones_too():
    records = [record(1, "d"), record(2, "d"), record(3, "other"), record(4, "d", judged=False), record(5)]
    assert times_judged(record(5), "d", records) == 3


def test_version_is_counted_once_however_often_it_is_asked():
    own = record(2, "d")
    assert times_judged(own, "d", [record(1, "d"), own]) == 2


def test_older_record_counts_where_dataset_and_split_are_the_same():
    records = [record(1), record(2, fingerprint="g"), record(3, test=0.3)]
    assert times_judged(record(4), "d", records) == 2
