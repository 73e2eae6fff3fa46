"""Intervals of a verdict take no images of one group for several witnesses."""

from serving.client import Prediction
from testing.fixtures import intervals
from testing.subject import Labelled, Subject
from tests.unit.testing.records import budget, record

LABELS = ["a", "b"]


def width(groups: list[int | None]) -> float:
    """Of the accuracy's interval: forty images, of which each group of four is right or wrong as a whole."""
    holdout = [Labelled(f"{n}.png", b"", LABELS[n % 2], groups[n]) for n in range(40)]
    answers = []
    for number, item in enumerate(holdout):
        label = item.label if number // 4 % 3 else LABELS[1 - LABELS.index(item.label)]
        answers.append(Prediction(label, {name: 0.9 if name == label else 0.1 for name in LABELS}, 2))
    found = intervals(Subject(None, None, record(2, LABELS), None, holdout, budget()), answers)
    return found.accuracy[1] - found.accuracy[0]


def test_images_of_a_few_groups_say_less_than_as_many_of_their_own():
    assert width([n // 4 for n in range(40)]) > 1.3 * width([None] * 40)
