"""An answer leaves in one call of the system, whole and in order, before the connection ends."""

import asyncio
from asyncio import selector_events

import httpx
import pytest

from serving.adapter.together import Together
from tests.unit.adapter.fakes import adapter


class Recorder:
    def __init__(self):
        self.did = []

    def write(self, data):
        self.did.append(bytes(data))

    def write_eof(self):
        self.did.append("eof")

    def close(self):
        self.did.append("close")

    def is_closing(self):
        return "close" in self.did


def recorded(*turns):
    """What reaches a transport of calls that are made in so many turns of the loop."""

    async def run():
        recorder = Recorder()
        together = Together(recorder, asyncio.get_running_loop())
        for turn in turns:
            turn(together)
            await asyncio.sleep(0)
        return recorder.did

    return asyncio.run(run())


def test_what_is_written_in_one_turn_is_one_call():
    def both(it):
        it.write(b"head ")
        it.write(b"body")
        it.write(b"")

    assert recorded(both, both) == [b"head body"] * 2
    assert recorded(lambda it: it.write(b"")) == []


@pytest.mark.parametrize("end", ["close", "write_eof"])
def test_what_waits_is_written_before_the_end(end):
    def turn(it):
        it.write(b"last words")
        getattr(it, end)()

    assert recorded(turn) == [b"last words", end.removeprefix("write_")]


def test_what_is_written_after_the_end_is_dropped():
    """asyncio would raise, and `close` with it, which uvicorn calls when a connection is lost."""

    def turn(it):
        it.write_eof()
        it.write(b"too late")

    assert recorded(turn, lambda it: it.close()) == ["eof", "close"]


def test_much_waits_for_no_turn():
    """Else the transport could not tell that a client reads nothing."""
    seen = []

    def turn(it):
        it.write(b"x" * 60_000)
        seen.append(list(it.did))
        it.write(b"x" * 60_000)
        seen.append(list(it.did))

    assert recorded(turn) == [b"x" * 120_000]
    assert seen == [[], [b"x" * 120_000]]


def test_headers_and_body_of_an_answer_leave_together(model_server, monkeypatch):
    written, write = [], selector_events._SelectorSocketTransport.write
    monkeypatch.setattr(
        selector_events._SelectorSocketTransport,
        "write",
        lambda transport, data: (written.append(bytes(data)), write(transport, data))[1],
    )
    with adapter(f"127.0.0.1:{model_server.port}") as it:
        assert httpx.get(f"{it.http}/livez", trust_env=False).json() == {"status": "alive"}
    [answer] = [data for data in written if data.startswith(b"HTTP/1.1 200")]
    assert answer.endswith(b'{"status":"alive"}')
