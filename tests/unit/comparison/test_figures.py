"""What a version's figures are put beside."""

import unicodedata

from comparison.figures import figures
from contracts.record import Record

COMPOSED, APART = (unicodedata.normalize(form, "Écho") for form in ("NFC", "NFD"))


def record(version: int, label: str) -> Record:
    own = {"precision": 0.5, "recall": version / 10, "f1": 0.5, "support": 5}
    metrics = {"accuracy": 0.5, "images": 10, "per_class": {label: own, "Zebra": own}, "confusion": [[5, 0], [5, 0]]}
    known = {"model": "m", "state": "tested", "kind": "train", "image_size": 8, "created": "now"}
    return Record.model_validate(known | {"version": version, "labels": [label, "Zebra"], "metrics": {"test": metrics}})


def test_class_that_production_writes_in_another_form_of_unicode_is_the_same_row():
    found = figures(record(2, COMPOSED), record(1, APART))
    assert found.baseline and found.metrics
    assert {label: own.recall for label, own in found.baseline.per_class.items()} == {COMPOSED: 0.1, "Zebra": 0.1}
    assert set(found.metrics.per_class) == {COMPOSED, "Zebra"}
