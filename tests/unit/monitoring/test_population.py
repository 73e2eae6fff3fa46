"""Drift, told from counts."""

import random
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, Summary, generate_latest

from contracts.record import Record
from monitoring import population
from monitoring.population import Seen
from testkit.registries import LABELS, MODEL, metrics

ALLOWED = SimpleNamespace(max_psi=0.25, max_certainty_loss=0.1, max_brightness_shift=0.5)
# Column sums of the held-out images' confusion are 19, 22 and 19.
LIKE_HELD_OUT = {"COVID": 320, "Normal": 360, "Viral Pneumonia": 320}


def record(**fields):
    brightness = {label: {"mean": mean, "deviation": 10.0} for label, mean in zip(LABELS, (90, 100, 110), strict=True)}
    dataset = {
        "uri": "sample", "fingerprint": "f" * 64, "images": 300, "classes": dict.fromkeys(LABELS, 100),
        "statistics": {"brightness": brightness},
    }  # fmt: skip
    values = {"version": 1, "model": MODEL, "state": "production", "kind": "train", "created": "now", "labels": LABELS}
    return Record.model_validate(values | {"metrics": {"test": metrics(0.85)}, "dataset": dataset} | fields)


def seen(labels, certainty=0.85, brightness=100.0):
    return Seen(labels, certainty * sum(labels.values()), brightness * sum(labels.values()))


def drifts(found, **fields):
    return list(population.drifts(record(**fields), found, ALLOWED))


def test_what_looks_like_the_held_out_images_has_not_drifted():
    assert drifts(seen(LIKE_HELD_OUT)) == []


def test_other_mix_of_answers_is_told_with_both_mixes():
    (told,) = drifts(seen({"COVID": 800, "Normal": 100, "Viral Pneumonia": 100}))
    assert "COVID 80%, Normal 10%" in told and "COVID 32%, Normal 37%" in told


def test_class_that_nobody_gets_any_more_is_drift():
    (told,) = drifts(seen({"COVID": 500, "Normal": 500}))
    assert told.startswith("Predicted classes have shifted")


def test_less_certainty_than_of_held_out_images_is_drift_and_more_is_not():
    """Though it is right more often than it is certain."""
    known = {"evaluation": {"mean_confidence": 0.73}}
    (told,) = drifts(seen(LIKE_HELD_OUT, certainty=0.60), **known)
    assert "is 60%" in told and "73%" in told
    assert drifts(seen(LIKE_HELD_OUT, certainty=0.99), **known) == []
    assert drifts(seen(LIKE_HELD_OUT, certainty=0.65), **known) == []


def test_record_that_does_not_tell_the_certainty_is_taken_for_calibrated():
    (told,) = drifts(seen(LIKE_HELD_OUT, certainty=0.70))
    assert "is 70%" in told and "85%" in told
    assert drifts(seen(LIKE_HELD_OUT, certainty=0.99)) == drifts(seen(LIKE_HELD_OUT, certainty=0.76)) == []


@pytest.mark.parametrize("brightness", [80, 120])
def test_darker_and_brighter_images_are_drift(brightness):
    # The classes' means differ by 10 and each deviates by 10: all images together by 12.9.
    (told,) = drifts(seen(LIKE_HELD_OUT, brightness=brightness))
    assert f"Mean brightness is {brightness}" in told and "is 100" in told and "deviations of 13" in told
    assert drifts(seen(LIKE_HELD_OUT, brightness=106)) == []


def test_what_a_record_does_not_tell_is_not_compared():
    assert drifts(seen({"COVID": 1000}, 0.1, 1.0), metrics={}, dataset=None) == []


def test_stability_index_is_that_of_the_definition():
    # By hand: (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5).
    index, _ = population.stability_index({"a": 5e6, "b": 5e6}, {"a": 6e6, "b": 4e6})
    assert index == pytest.approx(0.0405465, abs=1e-5)
    assert population.stability_index({"a": 5, "b": 7}, {"a": 5, "b": 7})[0] == 0


def test_chance_hardly_ever_exceeds_what_is_said_of_it():
    draw, above = random.Random(1), 0
    for _ in range(4000):
        counts = [dict.fromkeys("abc", 0), dict.fromkeys("abc", 0)]
        for own, images in zip(counts, (60, 200), strict=True):
            for label in draw.choices("abc", (5, 3, 2), k=images):
                own[label] += 1
        index, chance = population.stability_index(*counts)
        above += index > chance
    # 4 are expected.
    assert above <= 12
    assert population.stability_index({"a": 1}, {"b": 3})[1] > 0.25


def test_metrics_are_read_of_one_version_whatever_its_classes_are_called():
    kept = CollectorRegistry()
    odd = 'a "b"\\c, d}'
    answers = Counter("trainyard_predictions", "", ["version", "label"], registry=kept)
    certainty = Histogram("trainyard_certainty", "", ["version"], registry=kept)
    brightness = Summary("trainyard_brightness", "", ["version"], registry=kept)
    for version, label in (("1", odd), ("1", "Normal"), ("2", "Normal")):
        answers.labels(version, label).inc()
        certainty.labels(version).observe(0.5)
        brightness.labels(version).observe(40)
    found = population.of_metrics(generate_latest(kept).decode(), 1)
    assert found == Seen({odd: 1.0, "Normal": 1.0}, 1.0, 80.0)
    assert population.of_metrics(generate_latest(kept).decode(), 3).images == 0


def test_only_what_came_since_counts_unless_the_adapter_began_anew():
    before = Seen({"a": 5, "b": 2}, 6.0, 700.0)
    assert Seen({"a": 7, "b": 2}, 7.5, 900.0).since(before) == Seen({"a": 2, "b": 0}, 1.5, 200.0)
    anew = Seen({"a": 1}, 0.5, 100.0)
    assert anew.since(before) == anew
    assert before.since(Seen()) == before
