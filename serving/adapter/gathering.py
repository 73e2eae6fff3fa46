"""Images that wait while the model works go to it together: a batch costs little more than an image, a call as much.

Alone, an image goes at once; what comes meanwhile goes as one when the call returns. Once that is a batch that is worth
a call of its own it goes beside the first: with one call at a time the processors are idle for a fifth of the time,
since everybody is answered, asks again and is decoded at once (32 clients on 2 cores; docs/operations/capacity.md).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from serving.adapter import request_ids, spans
from serving.adapter.backend import Scores, ServedVersion, StaleVersion
from serving.adapter.refusals import Fault

# For each version. The model server runs as many batches of a model at once (num_batch_threads).
_CALLS = 2
# Images that are worth a second call: an image of eight costs the model no more than one of 32.
_WORTH = 8

Predict = Callable[[ServedVersion, Sequence[bytes]], Awaitable[list[Scores]]]


@dataclass(eq=False)
class _Request:
    """One request's images, which stay together, and where its answer goes."""

    images: Sequence[bytes]
    answer: asyncio.Future[list[Scores]]
    waiting: spans.Waiting | None = field(default_factory=spans.wait)
    name: str = field(default_factory=request_ids.current.get)


@dataclass
class _Line:
    """Requests for one version: those that wait, and those of each call that is under way."""

    waiting: deque[_Request] = field(default_factory=deque)
    calls: dict[asyncio.Task[None], list[_Request]] = field(default_factory=dict)
    looking: bool = False

    def next(self, most: int) -> list[_Request]:
        """Takes what goes together: in order, as many as fit; one that is larger by itself goes alone."""
        taken: list[_Request] = []
        size = 0
        while self.waiting and (not taken or size + len(self.waiting[0].images) <= most):
            taken.append(self.waiting.popleft())
            size += len(taken[-1].images)
        return taken

    def may_call(self, most: int) -> bool:
        if not self.calls:
            return bool(self.waiting)
        images = sum(len(one.images) for one in self.waiting)
        return len(self.calls) < _CALLS and images >= min(_WORTH, most)


class Gathering:
    """Calls `predict` with up to `most` images of one version at once."""

    def __init__(self, predict: Predict, most: int) -> None:
        self._predict, self._most = predict, most
        self._lines: dict[ServedVersion, _Line] = {}

    async def predict(self, version: ServedVersion, images: Sequence[bytes]) -> list[Scores]:
        """One answer an image, in order; raises what `predict` does. Who is cancelled leaves the others theirs."""
        line = self._lines.setdefault(version, _Line())
        request = _Request(images, asyncio.get_running_loop().create_future())
        line.waiting.append(request)
        self._look(version, line)
        try:
            return await request.answer
        except asyncio.CancelledError:
            if request in line.waiting:
                line.waiting.remove(request)
                if request.waiting:
                    request.waiting.over()
            for call, requests in line.calls.items():
                if request in requests and all(one.answer.done() for one in requests):
                    call.cancel()  # nobody waits for it any more
            raise

    def _look(self, version: ServedVersion, line: _Line) -> None:
        """Soon rather than now: what is decoded at the same moment goes together."""
        if not line.looking:
            line.looking = True
            asyncio.get_running_loop().call_soon(self._call, version, line)

    def _call(self, version: ServedVersion, line: _Line) -> None:
        line.looking = False
        while line.may_call(self._most):
            requests = line.next(self._most)
            call = asyncio.create_task(self._send(version, requests))
            line.calls[call] = requests
            call.add_done_callback(partial(self._ended, version, line))
        if not line.calls and self._lines.get(version) is line:
            del self._lines[version]

    def _ended(self, version: ServedVersion, line: _Line, call: asyncio.Task[None]) -> None:
        del line.calls[call]
        self._call(version, line)

    async def _send(self, version: ServedVersion, requests: list[_Request]) -> None:
        # What is logged of the call is said of all that are in it, not of whoever happened to begin it.
        request_ids.current.set(" ".join(one.name for one in requests))
        try:
            with spans.call(version.number, [one.waiting for one in requests]):
                scores = iter(await self._predict(version, [image for one in requests for image in one.images]))
        except (Fault, StaleVersion) as error:
            if len(requests) == 1:
                _fail(requests, error)
                return
            # The model fails on one of them, and nobody can tell on which; or the model server takes fewer at once,
            # which it says as it does of pixels of another shape. Each is asked again by itself.
            for one in requests:
                if not one.answer.done():
                    await self._send(version, [one])
        except Exception as error:
            _fail(requests, error)
        else:
            for one in requests:
                own = [next(scores) for _ in one.images]
                if not one.answer.done():
                    one.answer.set_result(own)


def _fail(requests: list[_Request], error: Exception) -> None:
    for one in requests:
        if not one.answer.done():
            one.answer.set_exception(error)
