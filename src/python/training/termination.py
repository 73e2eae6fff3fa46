"""SIGTERM during a run: what can be left at any moment is left, what can save itself is asked to."""

import signal
from types import FrameType
from typing import Any, Self

from training.loop import Stopped


class Termination:
    """Within it, SIGTERM raises `Stopped` or, between `defer` and `resume`, only makes `asked` answer True."""

    def __init__(self) -> None:
        self._asked = False
        self._deferred = False
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGTERM, self._terminate)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def asked(self) -> bool:
        return self._asked

    def defer(self) -> None:
        self._deferred = True

    def resume(self) -> None:
        self._deferred = False
        if self._asked:
            raise Stopped("at the end of the training")

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if not self._deferred:
            raise Stopped("between two steps of the run")
