import contextlib
import threading
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from serving.adapter.limits import Limits
from tests.unit.adapter.fakes import MODEL, FakeModelServer, FakeVersion, adapter, fail
from tests.unit.adapter.images import gray, imaging_limits
from tests.unit.adapter.waiting import wait_until
from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep
from trainyard.v1 import classifier_pb2_grpc  # pants: no-infer-dep


def classify(stub, image=None, **choice):
    return stub.Classify(api.ClassifyRequest(image=gray(200) if image is None else image, **choice), timeout=20)


def refusal(call):
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value


def code(call):
    """How the call ended: waiting asks again and again, so an answer must not fail the test as `refusal` does."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_answer_names_model_version_and_every_class_most_probable_first(stub):
    response = classify(stub, gray(51))

    assert (response.model, response.version, response.label) == (MODEL, 1, "Normal")
    assert [score.label for score in response.scores] == ["Normal", "Pneumonia", "COVID"]
    assert [score.probability for score in response.scores] == pytest.approx([0.4, 0.4, 0.2])


@pytest.mark.parametrize(
    "image", [b"", b"hello", gray(1)[:-20], gray(1, kind="GIF")], ids=["empty", "text", "cut", "gif"]
)
def test_what_is_not_an_image_is_an_invalid_argument(stub, image):
    assert refusal(lambda: classify(stub, image)).code() == grpc.StatusCode.INVALID_ARGUMENT


def test_version_can_be_chosen_by_number_and_by_label(model_server, stub):
    model_server.versions[2] = FakeVersion()
    model_server.labels["previous"] = 2

    assert classify(stub).version == 1
    assert classify(stub, version=2).version == 2
    assert classify(stub, version_label="previous").version == 2
    assert classify(stub, version_label="stable").version == 1


@pytest.mark.parametrize("choice", [{"version": 9}, {"version_label": "nightly"}])
def test_unknown_version_is_not_found(stub, choice):
    assert refusal(lambda: classify(stub, **choice)).code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    "choice", [{"version": 0}, {"version": -3}, {"version_label": ""}, {"version_label": "x" * 999}]
)
def test_impossible_version_is_an_invalid_argument(stub, choice):
    assert refusal(lambda: classify(stub, **choice)).code() == grpc.StatusCode.INVALID_ARGUMENT


def test_image_with_too_many_bytes_is_resource_exhausted_and_not_worth_a_retry(model_server):
    limits = Limits(image=imaging_limits(max_bytes=1000))
    with adapter(f"127.0.0.1:{model_server.port}", limits) as it, stub_of(it) as stub:
        error = refusal(lambda: classify(stub, gray(1) + b"\0" * 1000))

    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "-1"


def test_image_with_too_many_pixels_is_an_invalid_argument(model_server):
    limits = Limits(image=imaging_limits(max_pixels=100))
    with adapter(f"127.0.0.1:{model_server.port}", limits) as it, stub_of(it) as stub:
        assert classify(stub, gray(1, size=10)).version == 1
        assert refusal(lambda: classify(stub, gray(1, size=11))).code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("answered", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.DEADLINE_EXCEEDED),
        (grpc.StatusCode.INTERNAL, grpc.StatusCode.INTERNAL),
        (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL),
        (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INTERNAL),
    ],
)
def test_failing_model_server_is_told_by_its_kind_and_without_its_words(model_server, stub, answered, expected):
    classify(stub)
    model_server.before = fail(answered, "/models/secret/1/saved_model.pb is on fire")

    error = refusal(lambda: classify(stub))

    assert error.code() == expected
    assert "secret" not in error.details()


def test_absent_model_server_is_unavailable_until_it_is_there():
    model_server = FakeModelServer()
    with model_server.serving():
        port = model_server.port
    with adapter(f"127.0.0.1:{port}") as it, stub_of(it) as stub:
        error = refusal(lambda: classify(stub))
        with model_server.serving(f"127.0.0.1:{port}"):
            wait_until(lambda: code(lambda: classify(stub)) == grpc.StatusCode.OK)

    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert str(port) not in error.details()


def test_model_without_a_stable_version_is_unavailable(model_server, stub):
    model_server.labels.clear()

    wait_until(lambda: code(lambda: classify(stub)) == grpc.StatusCode.UNAVAILABLE)
    assert classify(stub, version=1).version == 1


def test_slow_model_server_is_deadline_exceeded(model_server):
    over = threading.Event()
    limits = Limits(request_timeout=0.2)
    with adapter(f"127.0.0.1:{model_server.port}", limits) as it, stub_of(it) as stub:
        classify(stub)
        model_server.before = lambda method, _: method == "Predict" and over.wait(10)
        error = refusal(lambda: classify(stub))
        over.set()

    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_requests_over_the_limit_are_turned_away_with_a_time_to_come_back(model_server):
    arrived, over = threading.Event(), threading.Event()

    def hold(method, _):
        if method == "Predict":
            arrived.set()
            over.wait(10)

    with adapter(f"127.0.0.1:{model_server.port}", Limits(max_in_flight=1)) as it, stub_of(it) as stub:
        classify(stub)
        model_server.before = hold
        held = stub.Classify.future(api.ClassifyRequest(image=gray(1)))
        assert arrived.wait(10)
        error = refusal(lambda: classify(stub))
        over.set()
        assert held.result(timeout=10).version == 1
        # The place is free again.
        assert classify(stub).version == 1

    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert int(dict(error.trailing_metadata())["grpc-retry-pushback-ms"]) > 0


def test_stream_answers_every_image_under_its_id_and_a_bad_one_fails_alone(stub):
    images = {"a": gray(255), "bad": b"hello", "b": gray(51), "no version": gray(1)}
    requests = [
        api.ClassifyStreamRequest(
            id=id, request=api.ClassifyRequest(image=image, version=9 if id == "no version" else None)
        )
        for id, image in images.items()
    ]

    answers = {answer.id: answer for answer in stub.ClassifyStream(iter(requests), timeout=20)}

    assert answers.keys() == images.keys()
    assert [answers[id].response.label for id in "ab"] == ["COVID", "Normal"]
    assert answers["bad"].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "not an image" in answers["bad"].error.message
    assert answers["no version"].error.code == grpc.StatusCode.NOT_FOUND.value[0]


def test_stream_works_on_a_bounded_number_of_images_at_once(model_server):
    now, most, lock = 0, 0, threading.Lock()

    def count(method, _):
        nonlocal now, most
        if method == "Predict":
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.02)
            with lock:
                now -= 1

    model_server.before = count
    limits = Limits(stream_concurrency=3)
    with adapter(f"127.0.0.1:{model_server.port}", limits) as it, stub_of(it) as stub:
        requests = [api.ClassifyStreamRequest(id=str(n), request=api.ClassifyRequest(image=gray(n))) for n in range(30)]
        answers = list(stub.ClassifyStream(iter(requests), timeout=20))

    assert sorted(int(answer.id) for answer in answers) == list(range(30))
    assert all(answer.response.version == 1 for answer in answers)
    assert 1 < most <= 3


def test_stream_that_says_nothing_is_ended(model_server):
    silent = threading.Event()

    def requests():
        silent.wait(10)
        yield api.ClassifyStreamRequest()

    limits = Limits(stream_idle_timeout=0.1)
    with adapter(f"127.0.0.1:{model_server.port}", limits) as it, stub_of(it) as stub:
        error = refusal(lambda: list(stub.ClassifyStream(requests(), timeout=20)))
        silent.set()

    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_get_model_tells_versions_labels_classes_and_size(model_server, stub):
    model_server.versions[4] = FakeVersion(image_size=16, labels=("a", "b"))
    model_server.labels = {"stable": 4, "previous": 1}

    model = stub.GetModel(api.GetModelRequest())

    assert model.model == MODEL
    assert {version.version: version.state for version in model.versions} == {1: "AVAILABLE", 4: "AVAILABLE"}
    assert dict(model.version_labels) == {"stable": 4, "previous": 1}
    assert (list(model.labels), model.image_size) == (["a", "b"], 16)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", ""),
        ("Can't read '/srv/models/m/2/saved_model.pb': cut off", "Can't read 'saved_model.pb': cut off"),
        ("gs://bucket/m/2/variables/variables.index is missing", "variables.index is missing"),
        ('Traceback of loading /a/b.py\n  File "/a/b.py", line 1', "Traceback of loading b.py"),
        ("no version and/or model", "no version and/or model"),
    ],
)
def test_version_that_could_not_be_loaded_says_why_without_paths(model_server, stub, said, told):
    model_server.broken[2] = said

    broken = stub.GetModel(api.GetModelRequest()).versions[1]

    assert (broken.version, broken.state, broken.error) == (2, "END", told)


def test_get_model_of_a_model_server_without_versions_is_empty(model_server, stub):
    model_server.versions.clear()

    model = stub.GetModel(api.GetModelRequest())

    assert (list(model.versions), dict(model.version_labels), model.image_size) == ([], {}, 0)


def test_health_follows_the_stable_version(model_server, served):
    with contextlib.closing(grpc.insecure_channel(served.grpc)) as channel:
        health = health_pb2_grpc.HealthStub(channel)

        def status(service=""):
            return health.Check(health_pb2.HealthCheckRequest(service=service)).status

        wait_until(lambda: status() == health_pb2.HealthCheckResponse.SERVING)
        assert status("trainyard.v1.Classifier") == health_pb2.HealthCheckResponse.SERVING
        model_server.versions.clear()
        wait_until(lambda: status() == health_pb2.HealthCheckResponse.NOT_SERVING)


def test_reflection_lists_the_services(served):
    with contextlib.closing(grpc.insecure_channel(served.grpc)) as channel:
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = reflection.ServerReflectionInfo(iter([request]))

    names = {service.name for service in answer.list_services_response.service}
    assert {"trainyard.v1.Classifier", "grpc.health.v1.Health"} <= names


@contextlib.contextmanager
def stub_of(it):
    with contextlib.closing(grpc.insecure_channel(it.grpc)) as channel:
        yield classifier_pb2_grpc.ClassifierStub(channel)
