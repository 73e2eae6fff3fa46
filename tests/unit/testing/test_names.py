"""Production's answers count by class, in whatever form of Unicode that writes its name."""

import unicodedata

from serving.client import Prediction
from testing.fixtures import compared, measured
from testing.subject import Labelled, Subject
from tests.unit.testing.records import budget, record

LABELS = ["Echo", "Zebra", "Écho"]
EARLIER = sorted(unicodedata.normalize("NFD", label) for label in LABELS)


def test_production_that_writes_a_class_in_another_form_is_compared_by_class():
    assert EARLIER[1] != LABELS[2]
    holdout = [Labelled(f"{n}.png", b"", LABELS[n % 3]) for n in range(30)]
    subject = Subject(None, None, record(2, LABELS), record(1, EARLIER), holdout, budget())
    subject._known["answers of stable"] = [right(item.label, LABELS, 2) for item in holdout]
    names = dict(zip((LABELS[0], LABELS[2], LABELS[1]), EARLIER, strict=True))
    subject._known["answers of previous"] = [right(names[item.label], EARLIER, 1) for item in holdout]
    assert [(one.own, one.other) for one in compared(subject)] == [(30, 30), (10, 10), (10, 10), (10, 10)]
    before = subject.ask_baseline()
    assert measured(subject, before).accuracy == 1.0
    assert set(before[0].scores) == set(LABELS)


def right(label: str, labels: list[str], version: int) -> Prediction:
    return Prediction(label, {name: 0.9 if name == label else 0.05 for name in labels}, version)
