"""What a request's time goes into, as spans, where traces are switched on (otlp.py); otherwise these cost a look.

A request's span holds `decode`, `queue` (its images wait while the model works) and `model` (the call they are in).
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import grpc.aio


class Waiting(Protocol):
    """One request's images, in line for the model."""

    def over(self) -> None:
        """They wait no more: they are sent, or nobody asks for them now."""


class Recorder(Protocol):
    """Whoever records spans."""

    def span(self, name: str) -> AbstractContextManager[object]: ...

    def wait(self) -> Waiting: ...

    def call(self, version: int, together: Sequence[Any]) -> AbstractContextManager[object]: ...

    def metadata(self) -> tuple[tuple[str, str], ...]: ...

    def ids(self) -> Mapping[str, str]: ...

    def exemplar(self) -> dict[str, str] | None: ...

    def counted(self, method: str, version: str, code: str) -> None: ...

    def called(
        self, method: str, metadata: Mapping[str, str], call: grpc.aio.ServicerContext
    ) -> AbstractContextManager[object]: ...


_NOTHING: AbstractContextManager[None] = nullcontext()
_recorder: Recorder | None = None


def use(recorder: Recorder | None) -> None:
    """Has spans of this process recorded by `recorder` from now on; None: no more."""
    global _recorder
    _recorder = recorder


def recording() -> bool:
    return _recorder is not None


def span(name: str) -> AbstractContextManager[object]:
    """Around a part of a request's work."""
    return _recorder.span(name) if _recorder else _NOTHING


def called(method: str, metadata: Mapping[str, str], call: grpc.aio.ServicerContext) -> AbstractContextManager[object]:
    """Around a gRPC call of `method`, which may say which span it belongs to."""
    return _recorder.called(method, metadata, call) if _recorder else _NOTHING


def counted(method: str, version: str, code: str) -> None:
    """What the metrics say of the request that is worked on."""
    if _recorder:
        _recorder.counted(method, version, code)


def wait() -> Waiting | None:
    """Images of the request that is worked on begin to wait for the model; None while nobody records it."""
    return _recorder.wait() if _recorder else None


def call(version: int, together: Sequence[Waiting | None]) -> AbstractContextManager[object]:
    """Around one call of the model, for all that waited and now go as one."""
    waited = [one for one in together if one]
    return _recorder.call(version, waited) if _recorder and waited else _NOTHING


def metadata() -> tuple[tuple[str, str], ...] | None:
    """What a call of the model server says of the span it is in: `traceparent`, and `tracestate` if there is one."""
    return _recorder.metadata() if _recorder else None


def ids() -> Mapping[str, str]:
    """`trace_id` and `span_id` of what is worked on; empty if nobody records it."""
    return _recorder.ids() if _recorder else {}


def exemplar() -> dict[str, str] | None:
    """What a histogram keeps of the request that is worked on, so that its trace can be found; None for nothing."""
    return _recorder.exemplar() if _recorder else None
