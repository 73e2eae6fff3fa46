"""Large bodies, read in a process of their own: what comes back is what would have been read here."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorflow.core.example import example_pb2
from tensorflow.core.framework import types_pb2

from serving.model_server import json_process
from serving.model_server.callers import Caller
from serving.model_server.dtypes import Tensor
from serving.model_server.errors import ServingError

A, B = Tensor("a", "a:0", types_pb2.DT_FLOAT), Tensor("b", "b:0", types_pb2.DT_STRING)
ROWS = [
    {"instances": [{"a": [1.5, 2], "b": "x\u00e4\0"}, {"a": [3, 4], "b": {"b64": "AP8="}}]},
    {"signature_name": "s", "inputs": {"a": [], "b": [["", "y"], ["z", ""]]}},
    {"inputs": {"a": 7, "b": "alone"}},
    {"instances": [{"a": 1, "b": 2}]},
    {"instances": [{"a": 1}]},
    {"signature_name": 3},
    {"instances": [{"a": 1, "b": "x"}] * 9},
    {"examples": [{"x": [1.0, 2.0], "s": "t"}, {"x": 1}], "context": {"c": [1]}},
    {"examples": [{"x": [1, 2.5]}]},
    {"examples": []},
    [],
]


@pytest.fixture(scope="module", autouse=True)
def everything_is_large() -> Iterator[None]:
    """Of no body is so little that it is read here."""
    patched = pytest.MonkeyPatch()
    patched.setattr(json_process, "LARGE", -1)
    yield
    patched.undo()
    while json_process._idle:
        json_process._idle.pop().kill()


def outcome(body: bytes, verb: str) -> tuple[object, ...]:
    """What a request comes to, comparable."""
    try:
        with json_process.opened([body[:9], body[9:]], verb) as given:
            name = given.signature_name()
            if verb == "regress":
                return name, [str(example_pb2.Example.FromString(record)) for record in given.examples()]
            row_form, arrays = given.inputs([A, B], 8)
    except ServingError as error:
        return error.code, error.message
    return name, row_form, [(alias, a.dtype, a.shape, a.tolist()) for alias, a in arrays.items()]


@pytest.mark.parametrize("row", ROWS)
def test_a_body_is_read_there_as_it_is_here(row: object, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps(row).encode()
    for verb in ("predict", "regress"):
        there = outcome(body, verb)
        monkeypatch.setattr(json_process, "LARGE", 10**9)
        assert there == outcome(body, verb)
        monkeypatch.undo()
        monkeypatch.setattr(json_process, "LARGE", -1)


def test_what_comes_back_begins_where_tensorflow_need_not_copy_it() -> None:
    with json_process.opened([b'{"inputs": {"a": [1, 2, 3], "b": "x"}}'], "predict") as given:
        _, arrays = given.inputs([A, B], None)
    assert (arrays["a"].tolist(), arrays["a"].ctypes.data % 64) == ([1.0, 2.0, 3.0], 0)


def test_a_process_reads_one_body_after_another_and_ends_after_a_huge_one(monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps(ROWS[0]).encode()
    outcome(body, "predict")
    (process,) = json_process._idle
    outcome(b"{", "predict")
    outcome(body, "predict")
    assert json_process._idle == [process]
    monkeypatch.setattr(json_process, "_ENDS_AFTER", 1)
    outcome(body, "predict")
    assert json_process._idle == []
    assert process._process.poll() is not None


def test_reading_ends_when_the_client_goes_away() -> None:
    caller, told = Caller(), []
    # Read for half a minute by the careful parser, if nobody ends it.
    body = b'{"instances": [' + b'{"x": Inf},' * 5_000_000 + b"1]}"

    def read() -> None:
        with caller.served(), pytest.raises(ServingError) as refused, json_process.opened([body], "predict"):
            pass
        told.append(refused.value.message)

    thread = threading.Thread(target=read)
    thread.start()
    threading.Timer(1.0, caller.leave).start()
    thread.join(20)
    assert told == ["The request's body could not be read: its reader was ended."]
    assert json_process._idle == []


def test_a_process_that_was_killed_is_no_end_of_reading() -> None:
    body = json.dumps(ROWS[0]).encode()
    expected = outcome(body, "predict")
    json_process._idle[0]._process.kill()
    json_process._idle[0]._process.wait()
    assert outcome(body, "predict") == expected


def test_reading_does_not_load_tensorflow() -> None:
    outcome(b"{}", "predict")
    (process,) = json_process._idle
    maps = Path(f"/proc/{process._process.pid}/maps")
    if not maps.exists():
        pytest.skip("this system does not tell what a process has loaded")
    assert "simdjson" in maps.read_text(encoding="utf-8")
    assert "libtensorflow" not in maps.read_text(encoding="utf-8")
