"""What users send with curl, a browser or a program of their own, and what it gets."""

import base64
import gzip
import os

import grpc
import pytest

from serving.adapter.limits import Limits
from tests.unit.adapter.fakes import MODEL
from tests.unit.adapter.images import gray
from tests.unit.adapter.rest import PNG, b64, classified, problem, served
from tests.unit.imaging.images import LFS
from trainyard.v1 import classifier_pb2 as api  # pants: no-infer-dep

CURL = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("media_type", [None, CURL])
def test_an_image_without_a_word_about_it_is_understood(rest, kind, media_type):
    headers = {"Content-Type": media_type} if media_type else {}
    answer = classified(rest.post("/v1/classify", content=gray(255, kind=kind), headers=headers))
    assert answer["label"] == "COVID"


@pytest.mark.parametrize("media_type", [None, CURL, "text/plain"])
def test_what_is_no_image_is_shown_the_right_call(rest, media_type):
    headers = {"Content-Type": media_type} if media_type else {}
    detail = problem(rest.post("/v1/classify", content=b"image=x.png", headers=headers), 415)["detail"]
    assert "curl --data-binary @image.png -H 'Content-Type: image/png'" in detail


def test_one_image_in_json_gets_one_answer(rest):
    answer = classified(rest.post("/v1/classify", json={"image": b64(gray(255))}))
    assert (answer["label"], answer["model"]) == ("COVID", MODEL)
    problem(rest.post("/v1/classify", json={"image": b64(b"hello")}), 422)


@pytest.mark.parametrize(
    "written",
    [base64.encodebytes, lambda data: base64.b64encode(data).rstrip(b"="), lambda data: base64.b64encode(data) + b"\n"],
    ids=["lines", "no padding", "a line's end"],
)
def test_base64_as_programs_write_it_is_read(rest, written):
    for data in (gray(255), gray(255, kind="JPEG"), gray(255) + b"1", gray(255) + b"12"):
        assert classified(rest.post("/v1/classify", json={"image": written(data).decode()}))["label"] == "COVID"


@pytest.mark.parametrize("text", ["%%%", "a", "ab-_", "a=bc", "é"])
def test_what_is_no_base64_is_told_so(rest, text):
    assert "base64" in problem(rest.post("/v1/classify", json={"image": text}), 422)["detail"]


def packed(data, **headers):
    return {"content": gzip.compress(data), "headers": {"Content-Encoding": "gzip", **headers}}


def test_a_body_of_gzip_is_unpacked_however_it_is_sent(rest):
    request = rest.build_request("POST", "/v1/classify", files={"images": ("x.png", gray(255))})
    form = packed(request.read(), **{"Content-Type": request.headers["content-type"]})
    assert classified(rest.post("/v1/classify", **packed(gray(255), **PNG)))["label"] == "COVID"
    assert classified(rest.post("/v1/classify", **packed(gray(255))))["label"] == "COVID"
    assert classified(rest.post("/v1/classify", **form))["results"][0]["name"] == "x.png"
    several = gzip.compress(gray(255)[:20]) + gzip.compress(gray(255)[20:])
    headers = {"Content-Encoding": "gzip", **PNG}
    assert classified(rest.post("/v1/classify", content=iter([several[:9], several[9:]]), headers=headers))["version"]


@pytest.mark.parametrize("body", [b"", gray(1), gzip.compress(gray(1))[:-9], gzip.compress(gray(1)) + b"rest"])
def test_a_body_that_is_no_whole_gzip_is_a_problem_that_names_the_header(rest, body):
    response = rest.post("/v1/classify", content=body, headers={"Content-Encoding": "gzip", **PNG})
    assert "Content-Encoding" in problem(response, 400)["detail"]


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip"])
def test_other_encodings_are_named(rest, encoding):
    response = rest.post("/v1/classify", content=gray(1), headers={"Content-Encoding": encoding, **PNG})
    detail = problem(response, 415)["detail"]
    assert "Content-Encoding" in detail and encoding in detail and "gzip" in detail


def test_the_limit_of_bytes_holds_for_what_is_unpacked(model_server):
    size = len(gray(1)) + 2000
    with served(model_server, Limits(max_request_bytes=size)) as rest:
        assert rest.post("/v1/classify", **packed(gray(1) + bytes(2000), **PNG)).status_code == 200
        problem(rest.post("/v1/classify", **packed(gray(1) + bytes(2001), **PNG)), 413)
        problem(rest.post("/v1/classify", **packed(bytes(50 << 20), **PNG)), 413)


@pytest.mark.parametrize("path", ["/v1/classify/", f"/v1/models/{MODEL}/classify/"])
def test_a_slash_at_the_end_changes_nothing_and_leads_nowhere_else(rest, path):
    response = rest.post(path, content=gray(1), headers={**PNG, "X-Forwarded-Proto": "https"})
    assert classified(response)["version"] == 1
    assert "location" not in response.headers
    assert rest.get("/readyz/").status_code == rest.get("/v1/model/").status_code == 200
    problem(rest.post("/v1/classify//", content=gray(1), headers=PNG), 404)


@pytest.mark.parametrize("path", ["/", "/docs", "/v1/model", f"/v1/models/{MODEL}", "/livez", "/readyz", "/metrics"])
def test_what_get_answers_head_answers_without_the_body(rest, path):
    told, whole = rest.head(path), rest.get(path)
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["content-type"] == whole.headers["content-type"]


def test_a_model_is_reached_by_its_name(rest):
    answer = classified(rest.post(f"/v1/models/{MODEL}/classify", content=gray(255), headers=PNG))
    assert (answer["label"], answer["model"]) == ("COVID", MODEL)
    assert (
        classified(rest.post(f"/v1/models/{MODEL}/classify?version=1", json={"images": [b64(gray(1))]}))["version"] == 1
    )
    assert rest.get(f"/v1/models/{MODEL}").json() == rest.get("/v1/model").json()


@pytest.mark.parametrize("name", ["digits", "chest_xray", "CHEST-XRAY", "x" * 5000, "a%20b"])
def test_another_models_name_is_a_problem_that_names_this_one(rest, name):
    for response in (
        rest.post(f"/v1/models/{name}/classify", content=gray(1), headers=PNG),
        rest.get(f"/v1/models/{name}"),
    ):
        document = problem(response, 404)
        assert document["type"] == "urn:trainyard:problem:unknown-model"
        assert f"this is '{MODEL}'" in document["detail"] and len(document["detail"]) < 300
    assert name[:60] not in rest.get("/metrics").text


OTHERS = {
    "DICOM": bytes(128) + b"DICM\x02\0\0\0",
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0",
    "WebP": gray(1, kind="WEBP"),
    "TIFF": gray(1, kind="TIFF"),
    "BMP": gray(1, kind="BMP"),
    "GIF": gray(1, kind="GIF"),
    "Git LFS pointer": LFS,
    "web page": b"<!DOCTYPE html><html>",
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_formats_are_named_at_rest_and_over_grpc(rest, stub, name):
    for request in (
        {"content": OTHERS[name], "headers": PNG},
        {"content": OTHERS[name]},
        {"files": {"images": ("x.png", OTHERS[name])}},
        {"json": {"image": b64(OTHERS[name])}},
    ):
        assert name in problem(rest.post("/v1/classify", **request), 415)["detail"]
    with pytest.raises(grpc.RpcError, match=name) as refused:
        stub.Classify(api.ClassifyRequest(image=OTHERS[name]), timeout=20)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("mebibytes", [1, 8])
def test_a_jpeg_with_bytes_behind_it_is_answered_as_the_plain_one(rest, stub, mebibytes):
    plain = gray(200, size=64, kind="JPEG")
    longer = plain + os.urandom(mebibytes << 20)
    headers = {"Content-Type": "image/jpeg"}
    expected = classified(rest.post("/v1/classify", content=plain, headers=headers))
    assert classified(rest.post("/v1/classify", content=longer, headers=headers)) == expected
    assert (
        classified(rest.post("/v1/classify", files={"images": ("x.jpg", longer)}))["results"][0]["scores"]
        == expected["scores"]
    )
    answer = stub.Classify(api.ClassifyRequest(image=longer), timeout=20)
    assert answer == stub.Classify(api.ClassifyRequest(image=plain), timeout=20)
