"""Whether requests come one at a time: what threads are for is not there then, and to hand work over takes a while."""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager

# Among several clients there are moments with one request, and the next one is about to come.
_FOR_SECONDS = 0.1


class Alone:
    def __init__(self) -> None:
        self._here = 0
        self._last_crowded = -math.inf

    @contextmanager
    def here(self) -> Iterator[None]:
        """Around each request."""
        self._here += 1
        if self._here > 1:
            self._last_crowded = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            self._here -= 1

    def __bool__(self) -> bool:
        return asyncio.get_running_loop().time() - self._last_crowded > _FOR_SECONDS
