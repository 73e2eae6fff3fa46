"""Addresses and folders whose names lead elsewhere, or look like a version."""

from typing import Any
from urllib.parse import quote

import pytest

from serving.model_server import config
from serving.model_server.metrics import Metrics
from serving.model_server.rest import RestApi
from tests.names import NAMES, VERSIONS


class Untouched:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked")


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_versions_in_an_address_that_are_no_numbers_reach_nothing(verb: str) -> None:
    api = RestApi(Untouched(), Metrics())  # type: ignore[arg-type]
    for name in NAMES + VERSIONS:
        if name.isascii() and name.isdigit():
            continue  # a number, if an odd one, as TensorFlow Serving reads it
        path = f"/v1/models/m/versions/{name}" + (":predict" if verb == "POST" else "")
        status, body = api.handle(verb, quote(path, errors="replace"), [b"{}"])
        assert (status, b"Malformed request" in body) == (400, True), (name, body)


def test_what_a_browser_asks_beforehand_is_counted_under_no_name() -> None:
    metrics = Metrics()
    api = RestApi(Untouched(), metrics)  # type: ignore[arg-type]
    assert api.preflight(b"https://example.com") == (200, b"")
    assert api.preflight(b"")[0] == 400
    for status in ("OK", "FAILED_PRECONDITION"):
        assert f'request_count{{model_name="",status="{status}"}} 1\n' in metrics.text().decode()


def test_folders_that_are_no_numbers_are_no_versions(tmp_path: Any) -> None:
    for name in NAMES + VERSIONS:
        if "/" not in name and "\0" not in name and name not in ("", ".", "..") and len(name) < 200:
            (tmp_path / name).mkdir(exist_ok=True)
    found = config.versions_on_disk(str(tmp_path))
    # Leading zeros are TensorFlow Serving's own habit; what reads them is the number they stand for.
    assert sorted(found) == [0, 1, 7, int("1" * 19)]
    assert all(path.rsplit("/", 1)[1].lstrip("0").isascii() for path in found.values())
