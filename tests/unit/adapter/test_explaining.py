"""What of an image its answer rests on: asked while nothing else is, one at a time, and counted."""

import asyncio
import base64
import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from PIL import Image

from imaging import ImageInput
from imaging.array import encode_png
from serving.adapter import occlusion
from serving.adapter.access import AccessOptions
from serving.adapter.backend import Scores, ServedVersion
from serving.adapter.explaining import Explainer
from serving.adapter.limits import Limits
from serving.adapter.predictor import Choice
from serving.adapter.refusals import BadRequest, ExplanationBusy
from tests.unit.adapter.fakes import MODEL, FakeVersion, adapter
from tests.unit.adapter.fakes import brightness as answered
from tests.unit.adapter.images import gray
from tests.unit.adapter.rest import PNG, b64, classified, problem
from tests.unit.adapter.waiting import wait_until

EXPLAINS = Limits(max_explanations=1)


@contextmanager
def explaining(model_server, limits=EXPLAINS, **more):
    with (
        adapter(f"127.0.0.1:{model_server.port}", limits, **more) as it,
        httpx.Client(base_url=it.http, trust_env=False, timeout=20) as client,
    ):
        yield client


def spotted(size=8, channels=1):
    """Middling gray with a white spot on the right, above the middle."""
    pixels = np.full((size, size, channels), 120, np.uint8)
    pixels[size // 4 : size // 2, size * 5 // 8 : size * 7 // 8] = 255
    return pixels


def explain(rest, content=None, **more):
    return rest.post("/v1/explain", content=encode_png(spotted()) if content is None else content, headers=PNG, **more)


def test_by_default_none_is_made_and_that_is_told(rest):
    told = problem(explain(rest), 404)
    assert told["help"] == "/problems/explanations-off" and "--explain" in told["detail"]
    assert rest.get("/v1/model").json()["explains"] is False


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (16, 3), (19, 1), (5, 1)])
def test_probability_falls_where_what_counts_is_covered(model_server, size, channels):
    model_server.versions[1] = FakeVersion(image_size=size, channels=channels)
    pixels = spotted(size, channels)
    with explaining(model_server) as rest:
        assert rest.get("/v1/model").json()["explains"] is True
        found = explain(rest, encode_png(pixels)).raise_for_status().json()
        whole = classified(rest.post("/v1/classify", content=encode_png(pixels), headers=PNG))
    assert (found["label"], found["version"], found["model"]) == (whole["label"], 1, MODEL)
    assert found["probability"] == whole["scores"][whole["label"]]
    side = min(8, size)
    falls = np.array(found["falls"])
    assert falls.shape == (side, side) and found["images"] == side * side + 1
    # By hand, the slow way: each square twice a cell's width, in the average shade.
    average, width = np.round(pixels.reshape(-1, channels).mean(axis=0)), size / side
    for row, column in ((0, 0), (2, 5), (side - 1, 1)):
        if max(row, column) >= side:
            continue
        masked = pixels.copy()
        top, left = (max(0, round((place - 0.5) * width)) for place in (row, column))
        bottom, right = (min(size, round((place + 1.5) * width)) for place in (row, column))
        masked[top:bottom, left:right] = average
        expected = answered(pixels[None], 3)[0, 0] - answered(masked[None], 3)[0, 0]
        assert falls[row, column] == pytest.approx(expected, abs=1e-6)
    row, column = np.unravel_index(falls.argmax(), falls.shape)
    assert size // 4 - 1 <= (row + 0.5) * width <= size // 2 + 1 and (column + 0.5) * width >= size / 2
    assert falls.min() < 0, "covering what is darker than the average adds to it"
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["picture"]))))
    assert (seen.reshape(pixels.shape) == pixels).all()


def test_masks_go_in_small_calls_of_their_own_and_are_in_no_figure_of_the_version(model_server):
    sizes, predict = [], model_server.predict
    model_server.predict = lambda request, context: (
        sizes.append(request.inputs["pixels"].tensor_shape.dim[0].size) or predict(request, context)
    )
    with explaining(model_server, Limits(max_explanations=1, max_gathered=32)) as rest:
        explain(rest).raise_for_status()
        metrics = rest.get("/metrics").text
    assert sizes == [1] + [8] * 8
    assert 'trainyard_requests_total{code="OK",method="POST /v1/explain",version="none"} 1.0' in metrics
    assert "trainyard_predictions_total{" not in metrics and "trainyard_brightness_count{" not in metrics


def test_a_model_server_that_takes_fewer_at_once_is_asked_one_by_one(model_server):
    with explaining(model_server) as rest:
        whole = explain(rest).json()["falls"]
        model_server.most_rows = 4
        assert explain(rest).json()["falls"] == whole


def test_one_is_made_at_a_time_and_others_are_told_when_to_come_back(model_server):
    held, go = threading.Event(), threading.Event()

    def hold(method, _):
        if method == "Predict":
            held.set()
            go.wait(10)

    with explaining(model_server) as rest, ThreadPoolExecutor(1) as pool:
        model_server.before = hold
        first = pool.submit(explain, rest)
        assert held.wait(10)
        refused = explain(rest)
        go.set()
        assert problem(refused, 429)["help"] == "/problems/explanation-busy"
        assert int(refused.headers["retry-after"]) > 0
        assert first.result(10).status_code == 200
        assert explain(rest).status_code == 200
        assert "trainyard_requests_turned_away_total 0.0" in rest.get("/metrics").text


def test_classification_comes_first(model_server):
    held, go, calls = threading.Event(), threading.Event(), []

    def hold(method, _):
        if method == "Predict":
            calls.append(method)
            held.set()
            go.wait(10)

    with explaining(model_server) as rest, ThreadPoolExecutor(2) as pool:
        model_server.before = hold
        classifying = pool.submit(rest.post, "/v1/classify", content=gray(9), headers=PNG)
        assert held.wait(10)
        explained = pool.submit(explain, rest)
        wait_until(lambda: "in_flight 1.0" in rest.get("/metrics").text)
        time.sleep(0.5)  # for the explanation to arrive, which nothing tells
        assert not explained.done() and len(calls) == 1
        go.set()
        assert classifying.result(10).status_code == 200
        assert explained.result(10).status_code == 200


class Stub:
    """A predictor whose answers are always the same."""

    async def prepared(self, image, choice):
        return ServedVersion(1, ImageInput(8)), bytes(64)

    async def ask_alone(self, version, pictures):
        return [Scores(("a", "b"), (0.7, 0.3))] * len(pictures)


async def here():
    return False


def test_without_a_moment_for_it_there_is_none_and_the_next_is_made():
    async def ask():
        admission = SimpleNamespace(in_flight=1)
        explainer = Explainer(Stub(), admission, Limits(max_explanations=1, request_timeout=0.05))
        with pytest.raises(ExplanationBusy, match="classification comes first"):
            await explainer.explain(b"", Choice(), lambda _: None, here)
        admission.in_flight = 0
        return await explainer.explain(b"", Choice(), lambda _: None, here)

    assert asyncio.run(ask()).falls == [[0.0] * 8] * 8


def test_who_went_away_ends_it_and_is_charged_for_what_was_asked():
    charged = []

    async def gone():
        return len(charged) > 1

    async def ask():
        explainer = Explainer(Stub(), SimpleNamespace(in_flight=0), Limits(max_explanations=1))
        with pytest.raises(BadRequest, match="closed"):
            await explainer.explain(b"", Choice(), charged.append, gone)
        explainer.check()

    asyncio.run(ask())
    assert charged == [1, 64]


def test_it_counts_as_the_images_it_costs(model_server):
    access = AccessOptions(rate=0.001, burst=70)
    with explaining(model_server, access=access) as rest:
        assert explain(rest).status_code == 200
        for _ in range(5):
            assert rest.post("/v1/classify", content=gray(9), headers=PNG).status_code == 200
        assert problem(rest.post("/v1/classify", content=gray(9), headers=PNG), 429)["help"].endswith("rate-limited")
        assert problem(explain(rest), 429)["help"].endswith("rate-limited")


def test_an_image_that_is_none_costs_one(model_server):
    with explaining(model_server, access=AccessOptions(rate=0.001, burst=2)) as rest:
        problem(explain(rest, b"hello"), 422)
        assert rest.post("/v1/classify", content=gray(9), headers=PNG).status_code == 200


def test_access_is_that_of_classification(model_server, tmp_path):
    (tmp_path / "tokens").write_text("a-token-that-is-long-enough")
    with explaining(model_server, access=AccessOptions(token_file=tmp_path / "tokens")) as rest:
        problem(explain(rest), 401)
        rest.headers["Authorization"] = "Bearer a-token-that-is-long-enough"
        assert explain(rest).status_code == 200
        problem(rest.post("/v1/explain", content=gray(9), headers={**PNG, "Origin": "https://example.com"}), 403)


def test_requests_are_sent_as_for_classification(model_server):
    model_server.versions[2] = FakeVersion()
    with explaining(model_server) as rest:
        assert explain(rest, params={"version": 2}).json()["version"] == 2
        assert rest.post("/v1/explain/", json={"image": b64(gray(9))}).status_code == 200
        assert rest.post("/v1/explain", files=[("images", ("a.png", gray(9)))]).status_code == 200
        assert rest.post(f"/v1/models/{MODEL}/explain", content=gray(9), headers=PNG).status_code == 200
        problem(rest.post("/v1/models/other/explain", content=gray(9), headers=PNG), 404)
        problem(explain(rest, params={"version": 7}), 404)
        problem(explain(rest, params={"version": "x"}), 422)
        two = rest.post("/v1/explain", json={"images": [b64(gray(9))] * 2})
        assert problem(two, 413 if "more than" in two.text else 400)
        problem(rest.post("/v1/explain", content=b"hello", headers={"Content-Type": "text/plain"}), 415)


def test_a_version_that_goes_away_meanwhile_is_said(model_server):
    def away(method, _):
        if method == "Predict":
            model_server.versions.pop(1, None)
            model_server.versions[2] = FakeVersion()

    with explaining(model_server) as rest:
        model_server.before = away
        assert problem(explain(rest), 503)["help"] == "/problems/unavailable"


def test_covering_keeps_the_picture_as_it_is_elsewhere():
    pixels = bytes(range(64))
    masked = occlusion.covered(pixels, 8, 1, 0)
    assert [place for place in range(64) if pixels[place] != masked[place]] == [0, 1, 8, 9]
    assert occlusion.cost(8) == occlusion.cost(512) == 65 and occlusion.cost(5) == 26
