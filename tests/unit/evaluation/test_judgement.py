import numpy as np
import pytest
from sklearn.metrics import f1_score

from evaluation import judge

LABELS = ["COVID", "Normal"]


def sure(answers: list[int], confidence: float = 0.9) -> np.ndarray:
    return np.array([[confidence if answer == index else 1 - confidence for index in range(2)] for answer in answers])


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    # 90 % sure, 6 of 10 right.
    found = judge(sure([0] * 10), np.array([0] * 6 + [1] * 4), LABELS)
    assert found.calibration_error == pytest.approx(0.3)
    assert [(b.images, round(b.accuracy, 2), round(b.confidence, 2)) for b in found.bins] == [(10, 0.6, 0.9)]


def test_bins_hold_every_answer_even_certain_ones():
    found = judge(np.vstack([sure([0] * 5, 1.0), sure([1] * 4, 0.55)]), np.array([0] * 5 + [1] * 4), LABELS)
    assert [b.images for b in found.bins] == [4, 5]


def test_area_under_roc_ranks_and_is_none_without_both_kinds():
    truth = np.array([0, 0, 1, 1])
    ranked = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]])
    assert judge(ranked, truth, LABELS).roc_auc == {"COVID": 1.0, "Normal": 1.0}
    alone = judge(ranked, np.zeros(4, int), LABELS)
    assert alone.roc_auc == {"COVID": None, "Normal": None}
    assert alone.roc_auc_mean is None


def test_intervals_hold_the_figure_and_narrow_with_more_images():
    widths = []
    for images in (40, 4000):
        random = np.random.default_rng(images)
        truth = random.integers(0, 2, images)
        answers = np.where(random.random(images) < 0.8, truth, 1 - truth)
        found = judge(sure(answers.tolist()), truth, LABELS)
        low, high = found.accuracy_interval
        assert low < (answers == truth).mean() < high
        f1 = f1_score(truth, answers, average=None)
        for label, value in zip(LABELS, f1, strict=True):
            assert found.f1_intervals[label][0] < value < found.f1_intervals[label][1]
        widths.append(high - low)
    assert widths[1] < widths[0] / 5


def test_same_seed_gives_the_same_intervals():
    groups = np.arange(501) // 5
    truth = groups % 2
    one, other, different = (
        judge(sure([0] * 501), truth, LABELS, seed=seed, groups=groups).f1_intervals for seed in (1, 1, 2)
    )
    assert one == other
    assert one != different


def test_few_images_that_are_all_right_make_no_certainty():
    found = judge(sure([0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1]), LABELS)
    assert found.recall_intervals["COVID"][0] < 0.5
    assert found.f1_intervals["COVID"][0] < 0.7
    assert found.accuracy_interval[0] < 0.6
    assert found.recall_intervals["COVID"][1] == 1.0


def test_slice_is_weak_where_chance_can_not_explain_it():
    truth = np.zeros(300, int)
    brightness = np.arange(300)
    answers = np.where(brightness >= 200, 1, 0)  # every bright image is wrong
    parts = {
        part.name: part for part in judge(sure(answers.tolist()), truth, LABELS, {"brightness": brightness}).slices
    }
    assert [name for name, part in parts.items() if part.weak] == ["above 199"]
    assert sum(part.images for part in parts.values() if part.by == "brightness") == 300


def test_measure_without_differences_makes_no_slices():
    found = judge(sure([0, 1]), np.array([0, 1]), LABELS, {"side": [299, 299]})
    assert {part.by for part in found.slices} == {"class"}
