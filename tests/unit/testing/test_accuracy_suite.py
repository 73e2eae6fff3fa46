"""The accuracy suite compares with production by the rule of the training gate."""

import pytest

from contracts.record import ClassMetrics, Metrics
from testing.subject import Budget
from testing.suites import test_accuracy as suite
from training.gate import Thresholds, shortfalls


def metrics(right, of):
    """Metrics of two classes, `right` answers each of `of` images."""
    per_class = {
        label: ClassMetrics(precision=1, recall=n / all_, f1=1, support=all_)
        for label, n, all_ in zip("ab", right, of, strict=True)
    }
    return Metrics(accuracy=sum(right) / sum(of), images=sum(of), per_class=per_class, confusion=[])


def suite_refuses(own, production, budget):
    refused = False
    for test in (suite.test_accuracy_is_not_behind_production, suite.test_recall_of_no_class_is_behind_production):
        try:
            test(own, production, budget)
        except AssertionError:
            refused = True
    return refused


@pytest.mark.parametrize(
    ("own", "production", "of", "refused"),
    [
        ((9, 10), (10, 10), (10, 10), False),  # one image of a few
        ((8, 10), (10, 10), (10, 10), True),  # two
        ((95, 10), (100, 10), (100, 10), True),  # one class falls, accuracy too
        ((980, 9), (970, 10), (1000, 10), False),
        ((999, 5), (970, 10), (1000, 10), True),  # accuracy rises, a class falls
        ((985, 10), (1000, 10), (1000, 10), False),  # within the tolerance
        ((979, 10), (1000, 10), (1000, 10), True),
    ],
)
def test_suite_refuses_what_the_gate_refuses(own, production, of, refused):
    own, production = metrics(own, of), metrics(production, of)
    assert suite_refuses(own, production, Budget(0, 0, 0.02)) is refused
    assert bool(shortfalls(own, Thresholds(0, 0, 0.02), production)) is refused
