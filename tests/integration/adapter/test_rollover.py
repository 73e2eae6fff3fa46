"""Adapter and model server together, as a serving pod, while what is served changes under requests."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from serving.client import BadImage, Client, UnknownVersion
from serving.pod import LocalPod
from testkit.models import write_classifier
from tests import warm_server
from tests.integration.adapter.production import write_config
from tests.unit.adapter.images import gray
from tests.unit.adapter.waiting import wait_until

MODEL = "chest-xray"
# Of another size each, so that an image prepared for one version is of no use to the other.
SIZES = {1: 16, 2: 24}
LABELS = ["COVID", "Normal", "Viral Pneumonia"]
PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    folder = tmp_path_factory.mktemp("production")
    for version, size in SIZES.items():
        write_classifier(folder / str(version), LABELS, image_size=size, seed=version)
    return folder


@pytest.fixture(scope="module")
def configure(production):
    return partial(write_config, production, MODEL)


@pytest.fixture(scope="module")
def pod(production, configure, tmp_path_factory):
    configure([1], stable=1)
    logs = tmp_path_factory.mktemp("logs")
    with warm_server.forked(), LocalPod(str(production / "models.config"), MODEL, logs) as pod:
        yield pod


def test_promotion_and_rollback_fail_no_request_and_never_answer_by_the_version_before(pod, configure):
    answers, failures, stop = {"gRPC": [], "REST": []}, [], threading.Event()

    def ask(kind, classify):
        while not stop.is_set():
            try:
                answers[kind].append(classify())
            except Exception as error:
                failures.append(error)

    with (
        Client(pod.address) as client,
        httpx.Client(base_url=pod.url, trust_env=False) as rest,
        ThreadPoolExecutor(2) as pool,
    ):

        def over_rest():
            response = rest.post("/v1/classify", content=gray(90, 32), headers=PNG).raise_for_status()
            return response.json()["version"]

        tasks = [
            pool.submit(ask, "gRPC", lambda: client.classify(gray(90, 32)).version),
            pool.submit(ask, "REST", over_rest),
        ]
        try:
            wait_until(lambda: all(answers.values()))
            assert client.model().versions == {1: "AVAILABLE"}
            configure([1, 2], stable=1)
            wait_until(lambda: client.model().versions.get(2) == "AVAILABLE", 60)
            configure([1, 2], stable=2, previous=1)
            wait_until(lambda: client.model().version_labels == {"stable": 2, "previous": 1}, 60)
            assert client.classify(gray(90, 32)).version == 2
            configure([2], stable=2)
            wait_until(lambda: client.model().versions.get(1) != "AVAILABLE", 60)
            configure([1, 2], stable=2)
            wait_until(lambda: client.model().versions.get(1) == "AVAILABLE", 60)
            configure([1, 2], stable=1)
            wait_until(lambda: client.model().version_labels["stable"] == 1, 60)
            assert client.classify(gray(90, 32)).version == 1
        finally:
            stop.set()
        for task in tasks:
            task.result(30)

    assert failures == []
    for kind, versions in answers.items():
        changes = [version for version, before in zip(versions, [0, *versions], strict=False) if version != before]
        assert changes == [1, 2, 1], kind


def test_real_model_server_is_understood(pod, configure):
    configure([1, 2], stable=2, previous=1)
    with Client(pod.address) as client, httpx.Client(base_url=pod.url, trust_env=False) as rest:
        wait_until(lambda: client.model().version_labels == {"stable": 2, "previous": 1}, 60)
        model = client.model()
        assert (model.labels, model.image_size) == (LABELS, SIZES[2])

        image = gray(200, 40, "JPEG")
        stable, previous = client.classify(image), client.classify(image, version_label="previous")
        assert (stable.version, previous.version) == (2, 1)
        assert stable.scores != previous.scores
        for prediction in (stable, previous):
            assert sorted(prediction.scores) == sorted(LABELS)
            assert sum(prediction.scores.values()) == pytest.approx(1, abs=1e-5)
            assert prediction.label == max(prediction.scores, key=prediction.scores.__getitem__)
        assert client.classify(image, version=1) == previous

        files = [("images", ("a.jpg", image)), ("images", ("b.png", b"hello"))]
        good, bad = rest.post("/v1/classify", files=files).raise_for_status().json()["results"]
        assert good["scores"] == pytest.approx(stable.scores, abs=1e-5)
        assert bad["error"]["status"] == 422

        with pytest.raises(UnknownVersion):
            client.classify(image, version=9)
        with pytest.raises(UnknownVersion):
            client.classify(image, version_label="nightly")
        with pytest.raises(BadImage):
            client.classify(b"hello")
