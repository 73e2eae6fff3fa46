"""One request, as both faces run it: let in, timed, counted, answered or refused."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import NoReturn

from serving.adapter import spans
from serving.adapter.access import Rates
from serving.adapter.admission import Admission
from serving.adapter.explaining import Explainer, Explanation
from serving.adapter.limits import Limits
from serving.adapter.metrics import EXPLAIN, Metrics
from serving.adapter.predictor import Answer, Choice, Pixels, Predictor, ServedModel
from serving.adapter.refusals import Fault, Overloaded, Refusal, TooSlow, Unavailable
from serving.adapter.refusing import Pace

logger = logging.getLogger(__name__)

Read = Callable[[], Awaitable[tuple[Sequence[bytes | Pixels | Refusal], Choice]]]
ReadOne = Callable[[], Awaitable[tuple[bytes | Refusal, Choice]]]
Receive = Callable[[], Awaitable[None]]


class Service:
    """What gRPC and REST share: the predictor behind limits, deadlines and metrics. Raises Refusals alone."""

    def __init__(self, predictor: Predictor, limits: Limits, rates: Rates | None = None) -> None:
        self.limits = limits
        self.rates = rates or Rates(None, 0)
        self.predictor = predictor
        self.admission = Admission(limits.max_in_flight, limits.max_streams)
        self.metrics = Metrics(self.admission)
        self.explainer = Explainer(predictor, self.admission, limits)
        self._pace = Pace()

    async def classify(
        self, method: str, read: Read, seconds: float | None = None, receive: Receive | None = None
    ) -> Answer:
        """The answer for the images that `read` gives, which is called only once the request has a place.

        `method` is the name it is counted under, `seconds` the time the caller will wait, if it said so. `receive`
        fetches what is still on the way, which takes no place and none of the time.
        """
        with self.metrics.request(method) as observed, refusing():
            with self.admission.arrive():
                self.rates.check()
                if receive:
                    await receive()
                async with self.admission.place():
                    answer = await self._answer(read, seconds)
            self.metrics.answered(observed, answer)
        return answer

    async def classify_streamed(self, method: str, read: Read, placed: Callable[[], None]) -> Answer:
        """The answer for what has come by an open stream, which waits for a place; `placed` is told of it."""
        try:
            with spans.span("image"), self.metrics.request(method) as observed, refusing():
                self.rates.check()
                async with asyncio.timeout(self.limits.request_timeout), self.admission.place(wait=True):
                    placed()
                    answer = await self._answer(read, None)
                self.metrics.answered(observed, answer)
        finally:
            placed()
        return answer

    async def refuse(self, method: str) -> NoReturn:
        """Of a request that no place is free for, whose body or message is not read yet: counts it, and raises.

        Raises:
            Overloaded: always; when the next refusal may be told.
        """
        with self.metrics.request(method):
            refusal = self.admission.overloaded()
            await self._pace.wait()
            raise refusal

    def refuse_soon(self, method: str, tell: Callable[[Overloaded], None]) -> None:
        """The same for who has no task to wait in: counts it, and has `tell` called when it may be told."""
        began = perf_counter()
        refusal = self.admission.overloaded()

        def now() -> None:
            self.metrics.refused(method, refusal, perf_counter() - began)
            tell(refusal)

        self._pace.call(now)

    async def _answer(self, read: Read, seconds: float | None) -> Answer:
        timeout = self.limits.request_timeout if seconds is None else min(seconds, self.limits.request_timeout)
        async with asyncio.timeout(timeout):
            images, choice = await read()
            self.rates.charge(len(images))
            return await self.predictor.classify(images, choice)

    async def explain(self, receive: Receive, read: ReadOne, gone: Callable[[], Awaitable[bool]]) -> Explanation:
        """What the answer to the image that `read` gives rests on. It takes no place from classification.

        It is counted under no version: figures of versions are those of classification, and drift is told by them.
        """
        with self.metrics.request(EXPLAIN), refusing():
            self.explainer.check()
            with self.admission.arrive():
                self.rates.check()
                await receive()
                image, choice = await read()
                return await self.explainer.explain(image, choice, self.rates.charge, gone)

    async def describe(self, method: str) -> ServedModel:
        """What is being served, asked of the model server now. Promotion relies on it, so it is never shed."""
        with self.metrics.request(method), refusing():
            async with asyncio.timeout(self.limits.request_timeout):
                return await self.predictor.describe()

    async def ready(self) -> int:
        """The stable version, which is loaded right now.

        Raises:
            Unavailable: there is none, the model server can't be asked, or the adapter is shutting down.
        """
        if self.admission.draining.is_set():
            raise Unavailable("The adapter is shutting down.")
        with refusing():
            try:
                version = (await self.predictor.stable.fresh()).number
            except TooSlow as refusal:
                # Who asks did not wait too long for an answer: there is none to be had here now.
                self.metrics.stable(0)
                raise Unavailable(str(refusal)) from None
            except Refusal:
                self.metrics.stable(0)
                raise
        self.metrics.stable(version)
        return version


@contextmanager
def refusing() -> Iterator[None]:
    """Turns whatever goes wrong inside into a Refusal, whose text can be shown to anybody."""
    try:
        yield
    except Refusal:
        raise
    except TimeoutError:
        raise TooSlow("The request took too long; try again, or send fewer or smaller images.") from None
    except Exception:
        logger.exception("A request failed")
        raise Fault("The adapter failed on this request.") from None
