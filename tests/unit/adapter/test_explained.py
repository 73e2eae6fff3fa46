"""Each kind of problem has a page, which its documents link to."""

import pytest

from serving.adapter import explained
from serving.adapter.refusals import Refusal
from tests.unit.adapter.fakes import adapter
from tests.unit.adapter.images import gray
from tests.unit.adapter.rest import PNG, problem


def kinds(refusal=Refusal):
    return {refusal.kind}.union(*map(kinds, refusal.__subclasses__()))


def test_every_kind_that_is_told_has_a_page_and_no_page_is_without_one():
    # The last is told before there is a request.
    assert kinds() | {"headers-too-large"} == set(explained.KINDS)


@pytest.mark.parametrize("kind", explained.KINDS)
def test_a_page_says_what_to_do(rest, kind):
    response = rest.get(f"/problems/{kind}")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "What to do" in response.text and f"urn:trainyard:problem:{kind}" in response.text


def test_a_flag_is_told_apart_from_the_text(rest):
    assert "<code>--allowed-origin</code>" in rest.get("/problems/forbidden-origin").text


@pytest.mark.parametrize("kind", ["nothing", "..%2f..", "<script>", "%00"])
def test_other_kinds_have_none(rest, kind):
    problem(rest.get(f"/problems/{kind}"), 404)


def test_documents_link_to_the_page_and_keep_their_type(rest):
    bad = problem(rest.post("/v1/classify", content=b"hello", headers=PNG), 422)
    assert (bad["type"], bad["help"]) == ("urn:trainyard:problem:bad-image", "/problems/bad-image")
    assert rest.get(bad["help"]).status_code == 200
    large = problem(rest.get("/v1/model", headers={"X": "x" * 70_000}), 431)
    assert rest.get(large["help"]).status_code == 200
    assert "help" not in problem(rest.get("/nothing"), 404)
    files = [("images", ("a.png", gray(1))), ("images", ("b.png", b"hello"))]
    assert rest.post("/v1/classify", files=files).json()["results"][1]["error"]["help"] == "/problems/bad-image"


def test_absent_model_server_is_explained_too():
    with adapter("127.0.0.1:1") as it:
        import httpx

        response = httpx.post(f"{it.http}/v1/classify", content=gray(1), headers=PNG, trust_env=False)
        assert problem(response, 503)["help"] == "/problems/unavailable"
