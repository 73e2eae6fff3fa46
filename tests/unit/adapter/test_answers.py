"""What the model server may answer, and what becomes of it."""

import math
import struct

import pytest

from tests.unit.adapter.images import gray

PNG = {"Content-Type": "image/png"}


@pytest.fixture
def answering(model_server):
    """Call it with a function that changes the model's probabilities before they are sent."""
    answer = model_server.predict

    def install(change):
        def predict(request, context):
            response = answer(request, context)
            change(response.outputs["probabilities"])
            return response

        model_server.predict = predict

    return install


def raw(tensor):
    content = struct.pack(f"<{len(tensor.float_val)}f", *tensor.float_val)
    tensor.ClearField("float_val")
    tensor.tensor_content = content


def test_raw_probabilities_are_read_like_typed_ones(rest, answering):
    files = [("images", (f"{n}.png", gray(n))) for n in (255, 7, 0)]
    typed = rest.post("/v1/classify", files=files).json()

    answering(raw)

    assert rest.post("/v1/classify", files=files).json() == typed


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("form", [raw, lambda tensor: None], ids=["raw", "typed"])
def test_answer_that_is_no_number_is_a_problem(rest, answering, value, form):
    def spoil(tensor):
        tensor.float_val[1] = value
        form(tensor)

    answering(spoil)

    answer = rest.post("/v1/classify", content=gray(1), headers=PNG)
    assert (answer.status_code, answer.json()["detail"]) == (500, "The answer contains NaN or infinity.")


@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: tensor.ClearField("float_val"),
        lambda tensor: tensor.float_val.pop(),
        lambda tensor: (raw(tensor), setattr(tensor, "tensor_content", tensor.tensor_content + b"\0")),
    ],
    ids=["none", "too few", "half a number"],
)
def test_answer_of_the_wrong_shape_is_a_problem(rest, answering, change):
    answering(change)

    assert rest.post("/v1/classify", content=gray(1), headers=PNG).status_code == 500
