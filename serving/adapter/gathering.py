"""Images that wait while the model works go to it together: a batch costs little more than an image, a call as much.

One call is under way for each version. Alone, an image goes at once; what comes meanwhile goes as one when it returns.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from serving.adapter import spans
from serving.adapter.backend import Scores, ServedVersion, StaleVersion
from serving.adapter.refusals import Fault

Predict = Callable[[ServedVersion, Sequence[bytes]], Awaitable[list[Scores]]]


@dataclass(eq=False)
class _Request:
    """One request's images, which stay together, and where its answer goes."""

    images: Sequence[bytes]
    answer: asyncio.Future[list[Scores]]
    waiting: spans.Waiting | None = field(default_factory=spans.wait)


@dataclass
class _Line:
    """Requests for one version."""

    waiting: deque[_Request] = field(default_factory=deque)
    under_way: list[_Request] = field(default_factory=list)
    call: asyncio.Task[None] | None = None
    sender: asyncio.Task[None] | None = None

    def next(self, most: int) -> list[_Request]:
        """Takes what goes together: in order, as many as fit; one that is larger by itself goes alone."""
        taken: list[_Request] = []
        size = 0
        while self.waiting and (not taken or size + len(self.waiting[0].images) <= most):
            taken.append(self.waiting.popleft())
            size += len(taken[-1].images)
        return taken


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
        if line.sender is None:
            line.sender = asyncio.create_task(self._send_all(version, line))
        try:
            return await request.answer
        except asyncio.CancelledError:
            if request in line.waiting:
                line.waiting.remove(request)
                if request.waiting:
                    request.waiting.over()
            elif line.call and all(one.answer.done() for one in line.under_way):
                line.call.cancel()  # nobody waits for it any more
            raise

    async def _send_all(self, version: ServedVersion, line: _Line) -> None:
        while requests := line.next(self._most):
            line.under_way = requests
            line.call = asyncio.create_task(self._send(version, requests))
            await asyncio.wait([line.call])
            line.call, line.under_way = None, []
        # Nothing is awaited between the last look and this, so nobody is left in a line that is given up.
        del self._lines[version]

    async def _send(self, version: ServedVersion, requests: list[_Request]) -> None:
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
