import pytest

from tests.unit.adapter.images import gray
from trainyard.v1 import classifier_pb2 as api


def test_answer_names_model_version_and_every_class_most_probable_first(stub):
    response = stub.Classify(api.ClassifyRequest(image=gray(51)))

    assert (response.model, response.version, response.label) == ("chest-xray", 1, "Normal")
    assert [score.label for score in response.scores] == ["Normal", "Pneumonia", "COVID"]
    assert [score.probability for score in response.scores] == pytest.approx([0.4, 0.4, 0.2])
