from dataclasses import replace

import numpy as np
import pytest

from training.run.answers import Answers
from training.run.gate import Thresholds, decide

GATE = Thresholds(min_accuracy=0.85, min_recall=0.7, tolerance=0.02)
LABELS = ["COVID", "Normal"]


def answers(covid: str, normal: str) -> Answers:
    """Of a model that is right where there is a 1, for the images of each class; "1*90 0*10" are a hundred of them."""
    truth, right = [], []
    for place, marks in enumerate((covid, normal)):
        for part in marks.split():
            mark, _, times = part.partition("*")
            right += [mark == "1"] * int(times or 1)
            truth += [place] * int(times or 1)
    likeliest = np.where(right, truth, 1 - np.array(truth))
    return Answers(np.eye(2)[likeliest], np.array(truth), LABELS)


def test_model_exactly_on_every_threshold_passes():
    assert decide(answers("1*7 0*3", "1*10"), GATE).reasons == []


def test_low_accuracy_is_named_with_both_figures():
    assert decide(answers("1*80 0*20", "1*80 0*20"), GATE).reasons == ["accuracy 0.800 is below 0.85"]


def test_one_weak_class_is_enough_and_named():
    assert decide(answers("1*6 0*4", "1*30"), GATE).reasons == ["recall of 'COVID' 0.600 is below 0.7"]


def test_every_reason_is_given():
    assert len(decide(answers("1*6 0*4", "1*4 0*6"), GATE).reasons) == 3


def test_retrained_model_may_fall_behind_by_the_tolerance():
    parent = answers("1*920 0*80", "1*920 0*80")
    assert decide(answers("1*905 0*95", "1*905 0*95"), GATE, parent).reasons == []


def test_model_that_is_surely_worse_than_its_parent_is_refused_and_the_parent_stays():
    parent = answers("1*920 0*80", "1*920 0*80")
    decision = decide(answers("1*910 0*90", "1*870 0*130"), GATE, parent)
    assert decision.parent_stays
    stays, accuracy, recall = decision.reasons
    assert stays == "its parent stays, which passes the gate on the same images and is better"
    assert accuracy.startswith("accuracy 0.890 falls behind its parent's 0.920 on the same 2000 images")
    assert recall.startswith("recall of 'Normal' 0.870 falls behind its parent's 0.920 on the same 1000 images")
    assert decision.allowed_for_chance == []


def test_difference_that_may_be_chance_is_allowed_and_said():
    """Five of twenty images lost and one gained: by more than the tolerance, and p = 0.22."""
    parent = answers("1*19 0", "1*20")
    decision = decide(answers("0*5 1*15", "1*20"), GATE, parent)
    assert decision.reasons == [] and not decision.parent_stays
    assert decision.allowed_for_chance
    assert all("may be chance" in sentence for sentence in decision.allowed_for_chance)


@pytest.mark.parametrize(("wrong", "refused"), [(5, False), (6, True)])
def test_so_few_images_decide_against_a_model_that_gained_none(wrong, refused):
    parent = answers("1*40", "1*40")
    own = answers(f"0*{wrong} 1*{40 - wrong}", "1*40")
    assert bool(decide(own, GATE, parent).reasons) is refused


def test_better_than_its_parent_but_under_the_thresholds_is_still_refused():
    decision = decide(answers("1*7 0*3", "1*7 0*3"), GATE, answers("1*6 0*4", "1*6 0*4"))
    assert decision.reasons == ["accuracy 0.700 is below 0.85"]


def test_parent_that_misses_the_gate_itself_does_not_stay():
    parent = answers("1*80 0*20", "1*80 0*20")
    decision = decide(answers("1*60 0*40", "1*60 0*40"), GATE, parent)
    assert decision.reasons and not decision.parent_stays


def test_images_of_one_patient_are_lost_together():
    """Twelve images lost would put a model behind; of four patients they may be chance."""
    parent, own = answers("1*40", "1*40"), answers("0*12 1*28", "1*40")
    assert decide(own, GATE, parent).reasons
    patients = [image // 3 for image in range(80)]
    decision = decide(replace(own, groups=patients), GATE, parent)
    assert decision.reasons == []
    assert [sentence.split(" groups")[0].split("same ")[1] for sentence in decision.allowed_for_chance] == [
        "80 images of 27",
        "40 images of 14",
    ]
