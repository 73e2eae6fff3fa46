import pytest

from contracts.record import ClassMetrics, Metrics
from training.gate import Thresholds, shortfalls

GATE = Thresholds(min_accuracy=0.85, min_recall=0.7, tolerance=0.02)


def metrics(accuracy: float, recalls: dict[str, float], support: int = 1000) -> Metrics:
    per_class = {
        label: ClassMetrics(precision=0.9, recall=recall, f1=0.9, support=support) for label, recall in recalls.items()
    }
    return Metrics(accuracy=accuracy, images=support * len(recalls), per_class=per_class, confusion=[])


def test_model_exactly_on_every_threshold_passes():
    assert shortfalls(metrics(0.85, {"COVID": 0.7, "Normal": 0.7}), GATE) == []


def test_low_accuracy_is_named_with_both_figures():
    assert shortfalls(metrics(0.8, {"COVID": 0.8, "Normal": 0.8}), GATE) == ["accuracy 0.800 is below 0.85"]


def test_one_weak_class_is_enough_and_named():
    assert shortfalls(metrics(0.9, {"COVID": 0.6, "Normal": 0.99}), GATE) == ["recall of 'COVID' 0.600 is below 0.7"]


def test_every_reason_is_told():
    assert len(shortfalls(metrics(0.5, {"COVID": 0.6, "Normal": 0.4}), GATE)) == 3


def test_retrained_model_may_fall_behind_by_the_tolerance():
    parent = metrics(0.92, {"COVID": 0.92, "Normal": 0.92})
    assert shortfalls(metrics(0.905, {"COVID": 0.905, "Normal": 0.905}), GATE, parent) == []
    reasons = shortfalls(metrics(0.89, {"COVID": 0.91, "Normal": 0.87}), GATE, parent)
    assert reasons == [
        "accuracy 0.890 falls behind its parent's 0.920",
        "recall of 'Normal' 0.870 falls behind its parent's 0.920",
    ]


def test_better_than_its_parent_but_under_the_thresholds_is_still_refused():
    assert shortfalls(metrics(0.7, {"COVID": 0.7}), GATE, metrics(0.6, {"COVID": 0.6}))


@pytest.mark.parametrize(("wrong", "passes"), [(1, True), (2, False)])
def test_one_image_never_decides_against_the_parent(wrong, passes):
    parent = metrics(1.0, {"COVID": 1.0}, support=20)
    own = metrics(1 - wrong / 20, {"COVID": 1 - wrong / 20}, support=20)
    assert (shortfalls(own, GATE, parent) == []) is passes
