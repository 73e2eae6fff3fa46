"""What interrupts a run: SIGTERM, a disk or a machine that fails. What can be left at any moment is left, what can save
itself is asked to."""

import signal
from types import FrameType
from typing import Any, Self

import tensorflow as tf

from cli import InfrastructureError
from training.loop import Stopped
from training.team import Team

# A full disk or memory, and storage that fails; other errors of TensorFlow are mistakes.
_MAY_PASS = (
    tf.errors.AbortedError,
    tf.errors.DataLossError,
    tf.errors.DeadlineExceededError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnavailableError,
)


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
        # Asked once more, as by whoever ends all processes of a job, it goes on ending as it began to.
        signal.signal(signal.SIGTERM, self._before if not self._asked else lambda *_: None)

    def asked(self) -> bool:
        return self._asked

    def defer(self) -> None:
        self._deferred = True

    def resume(self) -> None:
        self._deferred = False
        if self._asked:
            raise Stopped("at the end of the training")

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        asked_before, self._asked = self._asked, True
        if not self._deferred and not asked_before:
            raise Stopped("between two steps of the run")


def interrupted_by(error: BaseException, team: Team) -> str | None:
    """What interrupted a run, as the beginning of a sentence; None where another try would not help."""
    if isinstance(error, Stopped):
        return f"Terminated {error}"
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"The disk failed: {error.strerror or error}{where}"
    if isinstance(error, tf.errors.OpError) and not team.alone:
        return f"Another process of the training went away, or can't be reached ({type(error).__name__})"
    if isinstance(error, _MAY_PASS):
        return f"TensorFlow failed: {error.message.splitlines()[0]}"
    if isinstance(error, InfrastructureError):
        return str(error).rstrip(".")
    return None
