"""Versions that want to see pictures differently take over from each other under requests.

Each answer is the golden one of the version that it names: no picture is ever prepared for another version.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image

from contracts.about import About
from imaging import ImageInput
from imaging.array import canonical
from serving.client import Client
from serving.pod import LocalPod
from testkit.models import write_classifier
from tests import warm_server
from tests.integration.adapter.production import write_config
from tests.unit.adapter.waiting import wait_until
from tests.unit.imaging.images import encoded, gradient

MODEL = "pets"
LABELS = ["cat", "dog", "neither"]
# The first is of the time before models told of their input; the second has the same shape as it, the third as none.
INPUTS = {1: ImageInput(16), 2: ImageInput(16, oblong="pad"), 3: ImageInput(16, 3, "pad", white=4095)}
# What each tells of itself: the first is of the time before models did.
ABOUTS = {2: About(0.9, 20), 3: About(0.9731, 240, (0.9412, 0.9899), "for: tests\nnot for: patients")}


def pictures():
    """Oblong ones, so that stretched, padded, gray and coloured pixels all differ."""
    wide, tall = gradient(30, 90), gradient(80, 20)
    colours = np.dstack([wide, wide[::-1], 255 - wide])
    deep = (gradient(60, 20, 65536) // 16).astype(np.uint16)
    return [
        encoded(wide),
        encoded(np.ascontiguousarray(colours)),
        encoded(np.ascontiguousarray(colours), "JPEG"),
        encoded(tall, "JPEG"),
        encoded(Image.fromarray(deep)),
    ]


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    folder = tmp_path_factory.mktemp("production")
    for version, image in INPUTS.items():
        told = image if version > 1 else None
        write_classifier(folder / str(version), LABELS, image.size, seed=version, image=told, about=ABOUTS.get(version))
    return folder


@pytest.fixture(scope="module")
def golden(production):
    """Version -> what it answers for each picture, asked without any server."""
    import tensorflow as tf

    answers = {}
    for version, image in INPUTS.items():
        pixels = np.stack([canonical(picture, image) for picture in pictures()])
        signature = tf.saved_model.load(str(production / str(version))).signatures["serving_default"]
        answers[version] = signature(pixels=tf.constant(pixels))["probabilities"].numpy()
    return answers


def test_the_golden_answers_of_the_versions_differ_for_every_picture(golden):
    for number in range(len(pictures())):
        for one, other in ((1, 2), (1, 3), (2, 3)):
            assert np.abs(golden[one][number] - golden[other][number]).max() > 0.01


def test_every_answer_under_traffic_is_the_golden_one_of_the_version_it_names(production, golden, tmp_path):
    answers, failures, stop = [], [], threading.Event()
    config = write_config(production, MODEL, [1], stable=1)

    def ask(classify):
        number = 0
        while not stop.is_set():
            try:
                answers.append((number, *classify(pictures()[number])))
            except Exception as error:
                failures.append(error)
            number = (number + 1) % len(pictures())

    with (
        warm_server.forked(),
        LocalPod(str(config), MODEL, tmp_path / "logs") as pod,
        Client(pod.address) as client,
        httpx.Client(base_url=pod.url, trust_env=False) as rest,
        ThreadPoolExecutor(3) as pool,
    ):

        def over_grpc(picture, **choice):
            answer = client.classify(picture, **choice)
            return answer.version, answer.scores

        def over_rest(picture):
            files = [("images", ("x.png", picture)), ("images", ("y.png", b"no picture"))]
            answer = rest.post("/v1/classify", files=files).raise_for_status().json()
            return answer["version"], answer["results"][0]["scores"]

        def serve(version, others=()):
            write_config(production, MODEL, [*others, version], stable=version)
            wait_until(lambda: client.model().version_labels.get("stable") == version, 60)
            # Requests that were under way then are answered by the version before.
            assert client.classify(pictures()[0]).version == version

        tasks = [pool.submit(ask, over_grpc), pool.submit(ask, over_rest), pool.submit(ask, over_grpc)]
        try:
            wait_until(lambda: len(answers) > 20)
            write_config(production, MODEL, [1, 2], stable=1)
            wait_until(lambda: client.model().versions.get(2) == "AVAILABLE", 60)
            serve(2, others=[1])
            write_config(production, MODEL, [1, 2, 3], stable=2)
            wait_until(lambda: client.model().versions.get(3) == "AVAILABLE", 60)
            # While all three are loaded any of them can be asked by its number.
            for version in INPUTS:
                for number, picture in enumerate(pictures()):
                    answers.append((number, *over_grpc(picture, version=version)))
            told = {one["version"]: one["about"] for one in rest.get("/v1/model").json()["versions"]}
            assert {number: about and about["accuracy"] for number, about in told.items()} == {
                1: None,
                2: 0.9,
                3: 0.9731,
            }
            assert told[3]["card"] == ABOUTS[3].card
            serve(3, others=[1, 2])
            model = client.model()
            assert (model.image_size, model.channels, model.oblong, model.white) == (16, 3, "pad", 4095)
            serve(1, others=[3])
        finally:
            stop.set()
        for task in tasks:
            task.result(30)

    assert failures == []
    assert {version for _, version, _ in answers} == {1, 2, 3}
    for number, version, scores in answers:
        expected = dict(zip(LABELS, golden[version][number], strict=True))
        assert scores == pytest.approx(expected, abs=1e-4), (number, version)
