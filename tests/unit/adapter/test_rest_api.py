import base64
import socket
import threading

import httpx
import pytest

from serving.adapter.limits import Limits
from tests import names
from tests.unit.adapter.fakes import LABELS, MODEL, FakeVersion, adapter
from tests.unit.adapter.images import gray, imaging_limits
from tests.unit.adapter.rest import PNG, b64, classified, problem, served
from tests.unit.adapter.waiting import wait_until


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "application/octet-stream", "IMAGE/PNG; x=y"])
def test_image_as_the_body_gets_one_answer(rest, media_type):
    answer = classified(rest.post("/v1/classify", content=gray(51), headers={"Content-Type": media_type}))

    assert (answer["model"], answer["version"], answer["label"]) == (MODEL, 1, "Normal")
    assert answer["scores"] == {"Normal": 0.4, "Pneumonia": 0.4, "COVID": 0.2}
    assert next(iter(answer["scores"])) == "Normal"


def test_files_of_a_form_are_answered_in_order_and_by_name(rest):
    files = [("images", (f"{n}.png", gray(n))) for n in (255, 0, 200)]

    answer = classified(rest.post("/v1/classify", files=files))

    assert [result["name"] for result in answer["results"]] == ["255.png", "0.png", "200.png"]
    assert [result["label"] for result in answer["results"]] == ["COVID", "Normal", "COVID"]
    assert {result["version"] for result in answer["results"]} == {answer["version"]} == {1}


def test_images_in_json_are_answered_in_order(rest):
    images = [b64(gray(255)), base64.encodebytes(gray(0, size=64)).decode()]

    answer = classified(rest.post("/v1/classify", json={"images": images}))

    assert [result["label"] for result in answer["results"]] == ["COVID", "Normal"]


def test_described_ways_to_send_an_image_all_work(rest):
    described = rest.get("/openapi.json").json()["paths"]["/v1/classify"]["post"]["requestBody"]["content"]
    sent = {
        "multipart/form-data": {"files": {"images": ("x.png", gray(255))}},
        "application/json": {"json": {"images": [b64(gray(255))]}},
        **{
            media_type: {"content": gray(255), "headers": {"Content-Type": media_type}}
            for media_type in ("image/png", "image/jpeg", "application/octet-stream")
        },
    }

    assert described.keys() == sent.keys()
    for request in sent.values():
        classified(rest.post("/v1/classify", **request))


def test_images_of_one_request_reach_the_model_as_one_batch(model_server, rest):
    classified(rest.post("/v1/classify", json={"images": [b64(gray(n)) for n in range(20)]}))

    assert sum(method == "Predict" for method, _ in model_server.calls) == 1


def test_bad_images_of_several_fail_alone(rest):
    images = [b64(gray(255)), b64(b"hello"), "%%%", b64(gray(1, kind="GIF")), b64(gray(0))]

    results = classified(rest.post("/v1/classify", json={"images": images}))["results"]

    assert [result.get("label") for result in results] == ["COVID", None, None, None, "Normal"]
    assert [result["error"]["status"] for result in results if "error" in result] == [422, 422, 415]


def test_request_with_bad_images_alone_still_names_the_version(rest):
    answer = classified(rest.post("/v1/classify", json={"images": [b64(b"x"), b64(b"y")]}))

    assert answer["version"] == 1
    assert all("error" in result for result in answer["results"])


@pytest.mark.parametrize(
    ("image", "status"),
    [(b"hello", 422), (b"", 422), (gray(1)[:-20], 422), (gray(1, kind="GIF"), 415)],
    ids=["text", "empty", "cut", "gif"],
)
def test_single_bad_image_is_a_problem_however_it_is_sent(rest, image, status):
    problem(rest.post("/v1/classify", content=image, headers=PNG), status)
    problem(rest.post("/v1/classify", files={"image": ("x.png", image)}), status)
    problem(rest.post("/v1/classify", json={"images": [b64(image)]}), status)


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"images": []}', "application/json", 400),
        (b'{"images": "x"}', "application/json", 400),
        (b'{"images": [1]}', "application/json", 400),
        (b'{"images": ' + b"[" * 100_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"", "multipart/form-data", 400),
        (b"", "multipart/form-data; boundary=", 400),
        (b"garbage", "multipart/form-data; boundary=x", 400),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 400),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 400),
        (b"image", "text/plain", 415),
        (b"image", "application/x-www-form-urlencoded", 415),
        (b"a=1&image=x", "application/x-www-form-urlencoded", 415),
        (b'{"image": null}', "application/json", 400),
        (b'{"image": ["x"]}', "application/json", 400),
        (b'{"image": "x", "images": ["x"]}', "application/json", 400),
        (b"image", None, 415),
    ],
)
def test_malformed_body_is_a_problem(rest, body, media_type, status):
    headers = {"Content-Type": media_type} if media_type else {}

    problem(rest.post("/v1/classify", content=body, headers=headers), status)


def test_form_field_that_is_no_file_is_named(rest):
    response = rest.post("/v1/classify", files={"image": ("x.png", gray(1))}, data={"size": "3"})

    assert "'size'" in problem(response, 400)["detail"]


def test_version_can_be_chosen_by_number_and_by_label(model_server, rest):
    model_server.versions[2] = FakeVersion()
    model_server.labels["previous"] = 2

    for query, version in [("", 1), ("?version=2", 2), ("?version_label=previous", 2), ("?version_label=stable", 1)]:
        assert classified(rest.post(f"/v1/classify{query}", content=gray(1), headers=PNG))["version"] == version


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("version=9", 404),
        ("version_label=nightly", 404),
        ("version=1&version_label=stable", 400),
        ("version=0", 422),
        ("version=two", 422),
        ("version=99999999999999999999", 422),
        ("version_label=", 422),
    ],
)
def test_version_that_can_not_answer_is_a_problem(rest, query, status):
    problem(rest.post(f"/v1/classify?{query}", content=gray(1), headers=PNG), status)


def test_versions_that_lead_elsewhere_or_look_like_numbers_are_refused(rest):
    for version in names.VERSIONS:
        if version == "1" * 19:
            continue  # too long for the registry, not for a model server
        problem(rest.post("/v1/classify", params={"version": version}, content=gray(1), headers=PNG), 422)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/v1/classify", 405), ("DELETE", "/v1/model", 405), ("POST", "/", 405)],
)
def test_wrong_address_or_method_is_a_problem(rest, method, path, status):
    response = rest.request(method, path)

    problem(response, status)
    assert status != 405 or response.headers["allow"]


def test_request_over_the_limit_of_bytes_is_a_problem_whether_announced_or_not(model_server):
    limits = Limits(max_request_bytes=2000)
    with served(model_server, limits) as rest:
        assert rest.post("/v1/classify", content=gray(1) + b"\0" * 100, headers=PNG).status_code != 413
        problem(rest.post("/v1/classify", content=b"\0" * 2001, headers=PNG), 413)
        problem(rest.post("/v1/classify", content=iter([b"\0" * 1000] * 3), headers=PNG), 413)
        problem(rest.post("/v1/classify", files={"image": ("x.png", b"\0" * 2001)}), 413)
        problem(rest.post("/v1/classify", json={"images": [b64(b"\0" * 2001)]}), 413)


def test_image_over_the_limits_is_a_problem(model_server):
    limits = Limits(image=imaging_limits(max_bytes=1000, max_pixels=100))
    with served(model_server, limits) as rest:
        assert rest.post("/v1/classify", content=gray(1, size=10), headers=PNG).status_code == 200
        problem(rest.post("/v1/classify", content=gray(1, size=11), headers=PNG), 413)
        problem(rest.post("/v1/classify", content=gray(1) + b"\0" * 1000, headers=PNG), 413)


def test_images_over_the_limit_of_their_number_are_a_problem(model_server):
    with served(model_server, Limits(max_images=2)) as rest:
        files = [("images", (f"{n}.png", gray(n))) for n in range(3)]
        assert len(classified(rest.post("/v1/classify", files=files[:2]))["results"]) == 2
        problem(rest.post("/v1/classify", files=files), 413)
        problem(rest.post("/v1/classify", json={"images": [b64(gray(n)) for n in range(3)]}), 413)


def test_requests_over_the_limit_in_flight_are_shed(model_server):
    arrived, over = threading.Event(), threading.Event()

    def hold(method, _):
        if method == "Predict":
            arrived.set()
            over.wait(10)

    with served(model_server, Limits(max_in_flight=1)) as rest:
        classified(rest.post("/v1/classify", content=gray(1), headers=PNG))
        model_server.before = hold
        first = []
        holder = threading.Thread(target=lambda: first.append(rest.post("/v1/classify", content=gray(1), headers=PNG)))
        holder.start()
        assert arrived.wait(10)
        shed = rest.post("/v1/classify", content=gray(1), headers=PNG)
        # What operators and promotions ask is never shed.
        assert rest.get("/v1/model").status_code == rest.get("/readyz").status_code == 200
        over.set()
        holder.join(10)

    assert problem(shed, 429)["type"] == "urn:trainyard:problem:overloaded"
    assert int(shed.headers["retry-after"]) > 0
    assert first[0].status_code == 200


def test_a_body_that_stops_coming_is_ended(model_server):
    with adapter(f"127.0.0.1:{model_server.port}", Limits(body_grace=0.2)) as it, half_sent(it) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")


def test_client_that_goes_away_frees_its_place(model_server):
    with adapter(f"127.0.0.1:{model_server.port}", Limits(max_in_flight=1)) as it:
        half_sent(it).close()
        with httpx.Client(base_url=it.http, trust_env=False) as rest:
            wait_until(lambda: rest.post("/v1/classify", content=gray(1), headers=PNG).status_code == 200, seconds=5)


def test_absent_model_server_is_a_problem_and_not_ready():
    with adapter("127.0.0.1:1") as it, httpx.Client(base_url=it.http, trust_env=False) as rest:
        response = rest.post("/v1/classify", content=gray(1), headers=PNG)
        assert "127.0.0.1" not in problem(response, 503)["detail"]
        assert response.headers["retry-after"]
        problem(rest.get("/v1/model"), 503)
        problem(rest.get("/readyz"), 503)
        assert rest.get("/livez").status_code == 200


def test_model_is_told_as_it_is_at_the_time_of_the_request(model_server, rest):
    assert rest.get("/v1/model").json() == {
        "model": MODEL,
        "versions": [{"version": 1, "state": "AVAILABLE", "error": "", "about": None}],
        "version_labels": {"stable": 1},
        "labels": list(LABELS),
        "image_size": 8,
        "channels": 1,
        "oblong": "stretch",
        "white": 65535,
        "explains": False,
    }
    model_server.versions[2] = FakeVersion(image_size=16)
    model_server.labels = {"stable": 2, "previous": 1}

    model = rest.get("/v1/model").json()

    assert (model["version_labels"], model["image_size"]) == ({"stable": 2, "previous": 1}, 16)
    assert classified(rest.post("/v1/classify", content=gray(1), headers=PNG))["version"] == 2


def test_ready_only_while_the_stable_version_is_loaded(model_server, rest):
    assert rest.get("/readyz").json() == {"status": "ready", "version": 1}
    model_server.versions.clear()
    problem(rest.get("/readyz"), 503)


def test_a_model_server_that_says_nothing_is_not_ready_rather_than_slow(model_server):
    halt = threading.Event()
    with served(model_server, Limits()) as client:
        assert client.get("/readyz").status_code == 200
        model_server.before = lambda *_: halt.wait(20)
        problem(client.get("/readyz", timeout=20), 503)
        assert client.get("/v2/health/ready", timeout=20).status_code == 503
        halt.set()


def test_metrics_count_requests_and_predictions_by_version(model_server, rest):
    model_server.versions[2] = FakeVersion()
    for query in ("", "", "?version=2"):
        rest.post(f"/v1/classify{query}", content=gray(255), headers=PNG)
    rest.post("/v1/classify", content=b"x", headers=PNG)

    text = rest.get("/metrics").text

    assert 'trainyard_requests_total{code="OK",method="POST /v1/classify",version="1"} 3.0' in text
    assert 'trainyard_requests_total{code="OK",method="POST /v1/classify",version="2"} 1.0' in text
    assert 'trainyard_predictions_total{label="COVID",version="1"} 2.0' in text
    assert 'trainyard_request_seconds_count{method="POST /v1/classify",version="2"} 1.0' in text
    assert 'trainyard_images_refused_total{code="INVALID_ARGUMENT"} 1.0' in text
    assert "trainyard_stable_version 1.0" in text


def half_sent(it):
    """A connection with a request on it of which only the beginning has been sent."""
    connection = socket.create_connection(("127.0.0.1", it.ports.http), timeout=10)
    connection.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n")
    connection.sendall(b"Content-Length: 1000\r\n\r\nhalf")
    return connection
