import re

import pytest

from serving.adapter import http_server
from serving.adapter.connection import ConnectionLimits

ASSET = re.compile(r"""(?:src|href|action)="([^"]*)\"""")


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_page_loads_nothing_from_elsewhere_and_everything_it_names_is_there(rest, path):
    page = rest.get(path)

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    named = [name for name in ASSET.findall(page.text) if name != "/v1/classify"]
    assert len(named) > 3
    for name in named:
        assert name.startswith("/"), name
        assert rest.get(name).status_code == 200, name


@pytest.mark.parametrize("path", ["/", "/docs", "/v1/model", "/nothing"])
def test_every_answer_carries_a_policy_without_inline_scripts(rest, path):
    headers = rest.get(path).headers

    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"


def test_page_of_the_form_allows_no_inline_style(rest):
    page = rest.get("/")

    assert "style-src 'self';" in page.headers["content-security-policy"]
    assert "style=" not in page.text
    assert "<style" not in page.text


def test_page_answers_head(rest):
    response = rest.head("/")

    assert (response.status_code, response.content) == (200, b"")


def test_connections_outlive_those_of_load_balancers():
    """Google's keep theirs for 600 s and use them again."""
    assert http_server.config(lambda *_: None, ConnectionLimits()).timeout_keep_alive > 600
