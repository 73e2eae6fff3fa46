"""A model is behind when it is worse by more than a tolerance and than chance explains."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import allowed_for_chance, behind, compare, paired

LABELS = ["a", "b"]


def answers(gained, lost, both, label="a", wrong="b"):
    """Answers of two models to images of one class: `gained` only the first has right, `lost` only the second."""
    own = [label] * gained + [wrong] * lost + [label] * both
    other = [wrong] * gained + [label] * lost + [label] * both
    return own, other, [label] * len(own)


def together(*groups):
    return tuple([item for part in parts for item in part] for parts in zip(*groups, strict=True))


@pytest.mark.parametrize(
    ("gained", "lost", "p_value"),
    # By hand: twice the tail of a fair coin. 5 + 15 is the table of textbooks: 2 * 21700 / 2**20.
    [(0, 0, 1.0), (0, 5, 0.0625), (0, 6, 0.03125), (3, 3, 1.0), (1, 9, 22 / 1024), (5, 15, 43400 / 2**20)],
)
def test_p_value_is_that_of_the_exact_test(gained, lost, p_value):
    own, other = np.array([True] * gained + [False] * lost), np.array([False] * gained + [True] * lost)
    assert paired(own, other) == paired(other, own) == pytest.approx(p_value)


@pytest.mark.parametrize(
    ("gained", "lost", "both", "outcome"),
    [
        (0, 5, 20, "chance"),  # a fifth of the images, and still too few of them
        (0, 6, 19, "behind"),
        (20, 26, 4, "chance"),  # as many more lost, but both often differ
        (0, 6, 294, "level"),  # not chance, and within the tolerance: exactly 2 %
        (0, 7, 293, "behind"),
        (26, 0, 4, "level"),
    ],
)
def test_worse_needs_the_tolerance_and_the_test(gained, lost, both, outcome):
    found = compare(*answers(gained, lost, both), 0.02, LABELS)
    assert [(one.label, one.outcome) for one in found] == [(None, outcome), ("a", outcome)]
    assert behind(found) == [one for one in found if outcome == "behind"]
    assert allowed_for_chance(found) == [one for one in found if outcome == "chance"]


def test_class_falls_behind_where_accuracy_does_not():
    found = compare(*together(answers(0, 12, 8), answers(30, 0, 50, "b", "a")), 0.02, LABELS)
    assert [(one.label, one.own, one.other, one.outcome) for one in found] == [
        (None, 88, 70, "level"),
        ("a", 8, 20, "behind"),
        ("b", 80, 50, "level"),
    ]


def test_asking_more_classes_needs_more_of_each_by_holm():
    fell = answers(0, 6, 4)  # p = 0.031 alone
    others = [answers(0, 0, 10, label, "a") for label in "bcde"]
    labels = list("abcde")
    assert compare(*fell, 0.02, labels)[1].outcome == "behind"
    alone = compare(*together(fell, *others[:1]), 0.02, labels)
    assert (alone[1].outcome, alone[1].p_value) == ("chance", pytest.approx(2 * 0.03125))
    # Two fell: the worse one, 0.0039, stands for five classes, the other, 0.0078, for the four that are left.
    two = compare(*together(answers(0, 9, 1), answers(0, 8, 2, "b", "a"), *others[1:]), 0.02, labels)
    assert [one.p_value for one in two[1:]] == pytest.approx([5 * 2 / 512, 4 * 2 / 256, 1, 1, 1])


def test_chance_alone_hardly_ever_puts_an_equal_model_behind():
    """Two models that are right on 8 of 10 images of each of ten classes, each on its own ones: 40 images a class."""
    random, labels = np.random.default_rng(3), [str(number) for number in range(10)]
    truth = np.repeat(np.arange(10), 40)
    refused = 0
    for _ in range(300):
        own, other = (np.where(random.random(400) < 0.8, truth, (truth + 1) % 10) for _ in range(2))
        refused += bool(behind(compare(own, other, truth, 0.02, labels)))
    # Both questions at 5 % two-sided: about one in forty each; the old allowance of 1.5 images refused nearly all.
    assert refused <= 0.08 * 300


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_groups_of_one_image_each_are_no_groups(right):
    own, other = (np.array([pair[side] for pair in right], bool) for side in (0, 1))
    assert paired(own, other, np.arange(len(right))) == pytest.approx(paired(own, other))


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_p_value_of_groups_is_that_of_all_their_signs(differences):
    """By trying every way in which whole groups may have fallen."""
    own, other, groups = [], [], []
    for group, difference in enumerate(differences):
        images = max(1, abs(difference))
        groups += [group] * images
        own += [difference < 0] * images
        other += [difference > 0] * images
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in product((1, -1), repeat=len(differences))
    ]
    as_far = sum(abs(one) >= abs(sum(differences)) for one in sums) / len(sums)
    assert paired(np.array(own), np.array(other), np.array(groups)) == pytest.approx(as_far)


def test_many_images_of_few_patients_prove_little():
    """Forty images lost, of five patients: each patient is one chance, and twice 1/32 is no proof."""
    own, other, truth = answers(0, 40, 60)
    patients = [image % 5 for image in range(40)] + [5 + image // 4 for image in range(60)]
    alone, grouped = compare(own, other, truth, 0.02, LABELS), compare(own, other, truth, 0.02, LABELS, patients)
    assert [one.outcome for one in alone] == ["behind", "behind"]
    assert [(one.outcome, one.groups, one.p_value) for one in grouped] == [("chance", 20, 2 / 32)] * 2
    assert "on the same 100 images of 20 groups, which may be chance" in grouped[0].sentence()


def test_chance_alone_hardly_ever_puts_an_equal_model_behind_where_patients_have_many_images():
    """Both are wrong about whole patients, of eight images each; taken for 320 independent images that looks sure."""
    random, truth = np.random.default_rng(5), np.zeros(320, int)
    patients = np.repeat(np.arange(40), 8)
    refused = {"images": 0, "patients": 0}
    for _ in range(200):
        own, other = (np.repeat(random.random(40) < 0.2, 8).astype(int) for _ in range(2))
        refused["images"] += bool(behind(compare(own, other, truth, 0.02, LABELS)))
        refused["patients"] += bool(behind(compare(own, other, truth, 0.02, LABELS, patients)))
    assert refused["patients"] <= 0.05 * 200
    assert refused["images"] > 0.2 * 200


def test_places_of_classes_are_compared_like_their_names():
    own, other, truth = together(answers(0, 12, 8), answers(3, 1, 9, "b", "a"))
    places = [[LABELS.index(name) for name in part] for part in (own, other, truth)]
    assert compare(*places, 0.02, LABELS) == compare(own, other, truth, 0.02, LABELS)


def test_class_without_images_is_left_out_and_nothing_compares_as_nothing():
    assert [one.label for one in compare(["a"], ["a"], ["a"], 0.0, LABELS)] == [None, "a"]
    assert compare([], [], [], 0.0, LABELS) == []


def test_sentence_tells_figures_images_and_how_sure():
    seems, falls = (compare(*answers(0, lost, 20), 0.02, LABELS)[1] for lost in (2, 30))
    assert seems.sentence() == (
        "recall of 'a' 0.909 falls behind production's 1.000 on the same 22 images, which may be chance "
        "(2 lost, 0 gained, p = 0.500)"
    )
    assert falls.sentence("its parent's") == (
        "recall of 'a' 0.400 falls behind its parent's 1.000 on the same 50 images (30 lost, 0 gained, p < 0.001)"
    )
