"""A classifier as training exports it, in this process: both of its signatures. Imports TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2

from imaging import ImageInput
from imaging.signature import read
from serving.model_server import json_input
from serving.model_server.errors import ServingError
from serving.model_server.model import SavedModel
from serving.model_server.predict import PredictOptions, metadata, predict
from serving.model_server.tensors import from_array
from testkit.models import write_classifier

IMAGE = ImageInput(8, 3, "pad", 4095)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SavedModel]:
    """A model of colour pictures that are padded."""
    folder = write_classifier(tmp_path_factory.mktemp("model") / "1", ["a", "b"], image=IMAGE)
    loaded = SavedModel(str(folder))
    yield loaded
    loaded.close()


def test_both_signatures_are_told(model: SavedModel) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    signatures = get_model_metadata_pb2.SignatureDefMap()
    metadata(model, 7, request).metadata["signature_def"].Unpack(signatures)
    shape = signatures.signature_def["serving_default"].inputs["pixels"].tensor_shape
    told = signatures.signature_def["imaging"].outputs
    assert read([dimension.size for dimension in shape.dim], told) == IMAGE


def test_the_signature_without_inputs_answers_over_grpc(model: SavedModel) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "m", "imaging"
    response = predict(model, 7, request, PredictOptions())
    told = {name: list(tensor.string_val) for name, tensor in response.outputs.items()}
    assert told == {"oblong=pad": [b"pad"], "white=4095": [b"4095"]}
    assert response.model_spec.version.value == 7


def test_the_signature_without_inputs_answers_over_rest(model: SavedModel) -> None:
    plan = model.plan("imaging")
    row_form, arrays = json_input.predict_inputs({"inputs": {}}, plan.inputs)
    assert (row_form, [array.item() for array in plan.run(arrays)]) == (False, [b"pad", b"4095"])
    with pytest.raises(ServingError, match="Failed to get input map for signature: imaging"):
        json_input.predict_inputs({"signature_name": "imaging", "instances": [1]}, plan.inputs)


def test_pixels_of_the_models_own_shape_are_answered(model: SavedModel) -> None:
    request = predict_pb2.PredictRequest()
    from_array(np.zeros((3, *IMAGE.shape), np.uint8), 4, request.inputs["pixels"])
    response = predict(model, 7, request, PredictOptions())
    assert np.reshape(response.outputs["probabilities"].float_val, (3, 2)).sum(1) == pytest.approx(1)
