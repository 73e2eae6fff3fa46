"""Images of one patient are not several patients: intervals resample groups."""

import numpy as np
import pytest

from evaluation import judge
from evaluation.resampling import Drawn
from tests.unit.evaluation.test_judgement import LABELS, sure


def width(interval):
    return interval[1] - interval[0]


def drawn(seed, patients=40, views=8, alike=True):
    """Answers of which 80 % are right; `alike`: all views of a patient are right, or none."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(patients) % 2, views)
    right = np.repeat(random.random(patients) < 0.8, views) if alike else random.random(patients * views) < 0.8
    return sure(np.where(right, truth, 1 - truth).tolist()), truth, np.repeat(np.arange(patients), views)


def test_views_that_stand_or_fall_together_count_once():
    answers, truth, groups = drawn(0)
    by_image, by_group = judge(answers, truth, LABELS), judge(answers, truth, LABELS, groups=groups)
    once = judge(answers[::8], truth[::8], LABELS)
    assert width(by_group.accuracy_interval) > 2 * width(by_image.accuracy_interval)
    assert width(by_group.accuracy_interval) == pytest.approx(width(once.accuracy_interval), rel=0.15)
    for label in LABELS:
        assert width(by_group.recall_intervals[label]) > 2 * width(by_image.recall_intervals[label])
        assert width(by_group.f1_intervals[label]) > 2 * width(by_image.f1_intervals[label])
    # Nothing else is another.
    assert by_group.roc_auc == by_image.roc_auc and by_group.bins == by_image.bins


def test_views_that_go_their_own_ways_are_nearly_worth_as_much_as_patients():
    answers, truth, groups = drawn(1, alike=False)
    by_image, by_group = judge(answers, truth, LABELS), judge(answers, truth, LABELS, groups=groups)
    assert width(by_group.accuracy_interval) < 1.5 * width(by_image.accuracy_interval)
    # Groups never make a figure surer than its images.
    assert width(by_group.accuracy_interval) >= width(by_image.accuracy_interval) - 1e-9


def test_groups_of_one_image_each_change_nothing():
    answers, truth, _ = drawn(2, patients=200, views=1)
    by_image, by_group = judge(answers, truth, LABELS), judge(answers, truth, LABELS, groups=range(200))
    assert by_group.f1_intervals == by_image.f1_intervals
    assert by_group.accuracy_interval == pytest.approx(by_image.accuracy_interval, abs=0.02)


def test_few_patients_that_are_all_right_make_no_certainty():
    """12 patients of 4 views: 'accuracy 1.000' says less than 48 images would."""
    truth = np.repeat([0, 1], 24)
    found = judge(sure(truth.tolist()), truth, LABELS, groups=np.repeat(np.arange(12), 4))
    low, high = found.accuracy_interval
    assert low < 0.78 and high == 1.0
    assert judge(sure(truth.tolist()), truth, LABELS).accuracy_interval[0] > 0.92


def test_interval_by_groups_holds_the_truth_about_as_often_as_it_says():
    random, held = np.random.default_rng(0), {True: 0, False: 0}
    groups = np.repeat(np.arange(30), 8)
    for _ in range(100):
        right = np.repeat(random.random(30) < 0.8, 8)
        for by_groups in held:
            low, high = Drawn(len(right), groups if by_groups else None, 0).share(right)
            held[by_groups] += low <= 0.8 <= high
    assert held[True] >= 90
    assert held[False] < 70
