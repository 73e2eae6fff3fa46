"""The accuracy suite compares with production image by image: worse by more than tolerance and chance explain."""

import pytest

from serving.client import Prediction
from testing.fixtures import compared
from testing.subject import Labelled, Subject
from testing.suites import test_accuracy as suite
from tests.unit.testing.records import budget, record

LABELS = ["a", "b"]


class Clone:
    """Answers what it was told for each image; a version's label chooses who answers."""

    def __init__(self, own, production):
        self.answers = {None: own, "previous": production}

    def classify(self, image, version_label=None):
        label = self.answers[version_label][int(image)]
        return Prediction(label, {name: float(name == label) for name in LABELS}, 1)


def subject(own, production, truth):
    holdout = [Labelled(str(n), str(n).encode(), label) for n, label in enumerate(truth)]
    return Subject(Clone(own, production), None, record(2, LABELS), record(1, LABELS), holdout, budget(tolerance=0.02))


def right(of_a, of_b, images=50):
    """Answers to as many images of class a, then of b, with so many of each right."""
    return ["a"] * of_a + ["b"] * (images - of_a) + ["b"] * of_b + ["a"] * (images - of_b)


def refusals(own, production):
    found = compared(subject(own, production, ["a"] * 50 + ["b"] * 50))
    refused = []
    for test in (suite.test_accuracy_is_not_behind_production, suite.test_recall_of_no_class_is_behind_production):
        try:
            test(found)
        except AssertionError as error:
            refused.append(str(error).splitlines()[0])
    return refused


@pytest.mark.parametrize(
    ("own", "production", "refused"),
    [
        (right(50, 50), right(50, 50), []),
        (right(46, 50), right(50, 50), []),  # four of a hundred, and may be chance
        (right(40, 50), right(50, 50), ["accuracy", "recall of 'a'"]),
        (right(40, 50), right(50, 40), ["recall of 'a'"]),  # accuracy as before
    ],
)
def test_suite_refuses_what_is_worse_and_not_by_chance(own, production, refused):
    found = refusals(own, production)
    assert len(found) == len(refused)
    assert all(said.startswith(what) for said, what in zip(found, refused, strict=True)), found


def test_refusal_tells_figures_and_images():
    assert refusals(right(40, 50), right(50, 50)) == [
        "accuracy 0.900 falls behind production's 1.000 on the same 100 images (10 lost, 0 gained, p = 0.002)",
        "recall of 'a' 0.800 falls behind production's 1.000 on the same 50 images (10 lost, 0 gained, p = 0.004)",
    ]
