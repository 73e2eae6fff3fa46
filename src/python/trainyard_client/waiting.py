"""Waits for an adapter that is still starting."""

import asyncio
import random
import time
from typing import Protocol

from trainyard_client.answers import ServedModel
from trainyard_client.errors import Unavailable

_PAUSE = 0.5  # seconds between two tries
_TRY = 5.0  # seconds for one


class _Asks(Protocol):
    def model(self, timeout: float = ...) -> ServedModel: ...


class _AsksAsync(Protocol):
    async def model(self, timeout: float = ...) -> ServedModel: ...


class _Wait:
    """What there is left of `seconds`, and the last reason to go on waiting."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._deadline = seconds, time.monotonic() + seconds
        self._reason = Unavailable("")

    @property
    def timeout(self) -> float:
        return max(0.1, min(self._deadline - time.monotonic(), _TRY))

    def refused(self, reason: Unavailable) -> None:
        self._reason = reason

    def is_over(self, served: ServedModel) -> bool:
        self._reason = Unavailable(f"Model '{served.name}' has no version labelled 'stable' loaded yet.")
        return "stable" in served.version_labels

    def pause(self) -> float:
        """Seconds until the next try: not the same for all that wait.

        Raises:
            Unavailable: there is no time left for one.
        """
        if time.monotonic() + _PAUSE >= self._deadline:
            raise type(self._reason)(f"{self._reason} Waited {self._seconds:g} s.") from None
        return random.uniform(_PAUSE / 2, _PAUSE)


def until_serving(client: _Asks, seconds: float) -> None:
    """Returns as soon as the adapter has a stable version that can answer.

    Raises:
        Unavailable: it has none after `seconds`, with the last reason.
        ClientError: what answers is not an adapter.
    """
    wait = _Wait(seconds)
    while True:
        try:
            if wait.is_over(client.model(timeout=wait.timeout)):
                return
        except Unavailable as error:
            wait.refused(error)
        time.sleep(wait.pause())


async def until_serving_async(client: _AsksAsync, seconds: float) -> None:
    """As `until_serving`."""
    wait = _Wait(seconds)
    while True:
        try:
            if wait.is_over(await client.model(timeout=wait.timeout)):
                return
        except Unavailable as error:
            wait.refused(error)
        await asyncio.sleep(wait.pause())
