"""The candidate speaks the contract that the adapter and its clients rely on."""

import pytest


def test_signature_takes_pixels_and_gives_probabilities_with_labels(candidate):
    inputs, outputs = candidate.signature.get("inputs", {}), candidate.signature.get("outputs", {})
    assert set(inputs) == {"pixels"}, "the signature must take `pixels` and nothing else"
    assert set(outputs) == {"probabilities", "labels"}, "the signature must give both outputs"


def test_classes_come_in_the_order_of_the_record(candidate, served):
    assert list(served.labels) == candidate.labels, (
        f"the model serves its classes as {list(served.labels)}, the record says {candidate.labels}"
    )


def test_model_takes_images_of_the_recorded_size(candidate, served):
    assert served.image_size == candidate.image_size, (
        f"the model takes images of {served.image_size} pixels, the record says {candidate.image_size}"
    )


def test_answers_name_every_class_once(candidate, answers):
    for answer in answers:
        assert set(answer.scores) == set(candidate.labels), (
            f"an answer names the classes {sorted(answer.scores)}, the record {sorted(candidate.labels)}"
        )


def test_probabilities_are_probabilities(answers):
    for answer in answers:
        values = answer.scores.values()
        assert all(0 <= value <= 1 for value in values), f"not all of {answer.scores} lie between 0 and 1"
        assert sum(values) == pytest.approx(1, abs=1e-3), f"{answer.scores} do not sum to 1"


def test_label_is_the_most_probable_class(answers):
    for answer in answers:
        most = max(answer.scores.values(), default=None)
        assert answer.scores.get(answer.label) == most, f"{answer} names another class as the answer"


def test_answers_name_the_version_under_test(candidate, answers):
    served = {answer.version for answer in answers}
    assert served == {candidate.version}, f"version {candidate.version} is under test, versions {served} answered"
