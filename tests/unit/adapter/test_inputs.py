"""Every version gets pixels of its own kind, which it tells by its signatures."""

import grpc
import numpy as np
import pytest
from PIL import Image

from imaging import ImageInput
from imaging.array import encode_png
from imaging.signature import outputs
from tests.unit.adapter.fakes import FakeVersion
from tests.unit.adapter.waiting import wait_until
from tests.unit.imaging.images import encoded
from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep

WHITE = encode_png(np.full((10, 20), 255, np.uint8))  # half as high as wide
RED = encode_png(np.array([[[255, 0, 0]]], np.uint8))
PNG = {"Content-Type": "image/png"}


def version(image, **more):
    return FakeVersion(image_size=image.size, channels=image.channels, told=tuple(outputs(image)), **more)


def seen(rest, image, query=""):
    """Mean of the samples that the version got, 0 to 1: what a FakeVersion answers for its first class."""
    answer = rest.post(f"/v1/classify{query}", content=image, headers=PNG)
    assert answer.status_code == 200, answer.text
    return pytest.approx(answer.json()["scores"]["COVID"], abs=0.005)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (ImageInput(8), (1, 76 / 255)),
        (ImageInput(8, oblong="pad"), (0.5, 76 / 255)),
        (ImageInput(8, oblong="crop"), (1, 76 / 255)),
        (ImageInput(8, 3), (1, 1 / 3)),
        (ImageInput(8, 3, "pad"), (0.5, 1 / 3)),
    ],
)
def test_images_become_what_the_version_tells(model_server, rest, image, expected):
    model_server.versions[2] = version(image)
    assert (seen(rest, WHITE, "?version=2"), seen(rest, RED, "?version=2")) == expected


def test_white_is_what_the_version_tells(model_server, rest):
    dim = encoded(Image.fromarray(np.full((8, 8), 2047, np.uint16)))
    model_server.versions[2] = version(ImageInput(8, white=4095))
    assert (seen(rest, dim), seen(rest, dim, "?version=2")) == (2047 / 65535, 2047 / 4095)


def test_a_version_without_the_signature_is_gray_and_stretched(model_server, rest, stub):
    assert model_server.versions[1].told is None
    assert seen(rest, WHITE) == 1
    model = stub.GetModel(api.GetModelRequest())
    assert (model.image_size, model.channels, model.oblong, model.white) == (8, 1, "stretch", 65535)


def test_what_the_stable_version_takes_is_told(model_server, rest, stub):
    model_server.versions[2] = version(ImageInput(16, 3, "pad", 4095))
    model_server.labels["stable"] = 2
    model = stub.GetModel(api.GetModelRequest())
    assert (model.image_size, model.channels, model.oblong, model.white) == (16, 3, "pad", 4095)
    told = rest.get("/v1/model").json()
    assert (told["image_size"], told["channels"], told["oblong"], told["white"]) == (16, 3, "pad", 4095)
    model_server.versions.clear()
    told = rest.get("/v1/model").json()
    assert (told["image_size"], told["channels"], told["oblong"], told["white"]) == (0, 0, "", 0)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (FakeVersion(told=("oblong=mirror",)), "mirror"),
        (FakeVersion(told=("oblong=pad", "gamma=2.2")), "gamma"),
        (FakeVersion(channels=4), "4"),
        (FakeVersion(channels=2), "2"),
    ],
)
def test_a_version_that_is_not_understood_is_a_fault_that_names_it(model_server, rest, stub, odd, said):
    model_server.versions[7] = odd
    answer = rest.post("/v1/classify?version=7", content=WHITE, headers=PNG)
    assert answer.status_code == 500
    assert "Version 7 of model 'chest-xray'" in answer.json()["detail"] and said in answer.json()["detail"]
    with pytest.raises(grpc.RpcError) as refused:
        stub.Classify(api.ClassifyRequest(image=WHITE, version=7), timeout=20)
    assert refused.value.code() == grpc.StatusCode.INTERNAL
    # The others go on answering.
    assert seen(rest, WHITE) == 1


def test_a_version_that_moves_under_a_request_gets_the_pixels_of_the_new_one(model_server, rest):
    """The version is taken away between the two calls; the one that answers is of the same shape, but padded."""
    assert seen(rest, WHITE) == 1
    model_server.versions[2] = version(ImageInput(8, oblong="pad"))
    model_server.labels["stable"] = 2
    del model_server.versions[1]
    answer = rest.post("/v1/classify", content=WHITE, headers=PNG).json()
    assert (answer["version"], answer["scores"]["COVID"]) == (2, pytest.approx(0.5, abs=0.005))


def test_another_model_under_a_known_number_is_noticed_though_its_shape_is_the_same(model_server, rest):
    assert seen(rest, WHITE, "?version=1") == 1
    model_server.versions[1] = version(ImageInput(8, oblong="pad"))
    wait_until(lambda: seen(rest, WHITE, "?version=1") == 0.5)


@pytest.mark.parametrize(
    "image", [ImageInput(64), ImageInput(64, 3), ImageInput(64, oblong="pad"), ImageInput(64, 3, "pad")]
)
def test_brightness_is_the_pictures_luma_whatever_the_model_sees_of_it(model_server, rest, image):
    """Red in a picture that is half as high as wide: no channel and no black bar makes it another."""
    model_server.versions[2] = version(image)
    wide = encode_png(np.broadcast_to(np.array([255, 0, 0], np.uint8), (20, 40, 3)))
    assert rest.post("/v1/classify?version=2", content=wide, headers=PNG).status_code == 200
    line = next(line for line in rest.get("/metrics").text.splitlines() if "trainyard_brightness_sum" in line)
    assert float(line.split()[-1]) == pytest.approx(76, abs=1.5)


def test_the_classes_of_a_colour_model_are_asked_for_with_a_picture_of_its_shape(model_server, stub):
    model_server.versions[2] = version(ImageInput(16, 3, "crop"), labels=("cat", "dog"))
    model_server.labels["stable"] = 2
    assert list(stub.GetModel(api.GetModelRequest()).labels) == ["cat", "dog"]
