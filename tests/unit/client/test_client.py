import threading

import grpc
import pytest

from serving.adapter.limits import Limits
from serving.client import BadImage, Client, ClientError, Prediction, ServedModel, Unavailable, UnknownVersion
from tests.unit.adapter.fakes import LABELS, MODEL, FakeVersion, adapter, fail
from tests.unit.adapter.images import gray, imaging_limits


@pytest.fixture
def client(served):
    with Client(served.grpc) as client:
        yield client


def test_prediction_holds_every_class_most_probable_first(client):
    prediction = client.classify(gray(51))

    assert prediction == Prediction("Normal", {"Normal": 0.4, "Pneumonia": 0.4, "COVID": 0.2}, 1)
    assert next(iter(prediction.scores)) == "Normal"


def test_version_can_be_chosen_by_number_and_by_label(model_server, client):
    model_server.versions[2] = FakeVersion()
    model_server.labels["previous"] = 2

    assert client.classify(gray(1), version=2).version == 2
    assert client.classify(gray(1), version_label="previous").version == 2


def test_model_tells_what_is_served(model_server, client):
    model_server.versions[2] = FakeVersion()

    expected = ServedModel(MODEL, {1: "AVAILABLE", 2: "AVAILABLE"}, {"stable": 1}, list(LABELS), 8, 1, "stretch", 65535)
    assert client.model() == expected


@pytest.mark.parametrize("choice", [{"version": 1, "version_label": "stable"}, {"version": 0}, {"version_label": ""}])
def test_impossible_choice_is_told_before_anybody_is_asked(choice):
    with Client("127.0.0.1:1") as client, pytest.raises(ValueError, match="Expected"):
        client.classify(gray(1), **choice)


def test_bad_image_says_what_is_wrong_with_it(client):
    with pytest.raises(BadImage, match="not an image"):
        client.classify(b"hello")


def test_image_too_large_for_the_adapter_is_a_bad_image(model_server):
    limits = Limits(image=imaging_limits(max_bytes=1000))
    with adapter(f"127.0.0.1:{model_server.port}", limits) as it, Client(it.grpc) as client:
        for surplus in (1000, 6_000_000):  # refused by the adapter, refused by gRPC
            with pytest.raises(BadImage):
                client.classify(gray(1) + b"\0" * surplus)


@pytest.mark.parametrize("choice", [{"version": 9}, {"version_label": "nightly"}])
def test_unknown_version_has_an_error_of_its_own(client, choice):
    with pytest.raises(UnknownVersion):
        client.classify(gray(1), **choice)


def test_absent_adapter_is_unavailable_by_its_address():
    with Client("127.0.0.1:1") as client:
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
            client.classify(gray(1))
        with pytest.raises(Unavailable):
            client.model()


def test_server_that_is_no_adapter_is_told(model_server):
    with Client(f"127.0.0.1:{model_server.port}") as client, pytest.raises(ClientError, match="not an adapter"):
        client.model()


def test_silence_is_unavailable_after_the_timeout(model_server, client):
    over = threading.Event()
    client.classify(gray(1))
    model_server.before = lambda method, _: method == "Predict" and over.wait(10)
    with pytest.raises(Unavailable):
        client.classify(gray(1), timeout=0.2)
    over.set()


def test_passing_failure_is_tried_again(model_server, client):
    client.classify(gray(1))
    failures = iter([True, False])

    def fail_once(method, context):
        if method == "Predict" and next(failures, False):
            fail(grpc.StatusCode.UNAVAILABLE, "restarting")(method, context)

    model_server.before = fail_once

    assert client.classify(gray(1)).version == 1
    assert next(failures, None) is None
