"""gRPC's server on asyncio, which takes calls as fast as they come and refuses cheaply what there is no room for.

grpc.aio takes one call in some four turns of the event loop, so that a flood waits inside gRPC for seconds, those that
are answered among it. And it makes two tasks and asks all interceptors before anybody can refuse. Both can be mended by
overriding the method that asks for the next call, which is grpcio's own affair: its version is locked, and
tests/unit/adapter/test_intake.py tells when another one works otherwise.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from enum import Enum, auto
from functools import partial
from typing import Any, Protocol

import grpc
import grpc.aio
from grpc._cython import cygrpc

logger = logging.getLogger(__name__)

# Calls of a method with a door that gRPC may hand over in one turn of the event loop.
_AT_ONCE = 128
# Seconds after which a door that said LATER is asked again.
_LATER = 0.003

Metadata = tuple[tuple[str, str], ...]
# Ends a call: its status, a sentence, and the metadata at its end.
Tell = Callable[[grpc.StatusCode, str, Metadata], None]


class Let(Enum):
    """What becomes of the next call of a method."""

    IN = auto()
    LATER = auto()
    OUT = auto()


class Door(Protocol):
    """Whoever decides about a method's calls before anything of them is read."""

    def look(self) -> Let: ...

    def entered(self) -> None:
        """One was let in."""

    def refuse(self, metadata: Metadata, tell: Tell) -> None:
        """One is let out: `tell` is to be called, now or later. Runs in a context of its own."""


class _Method:
    """Calls of one method that came and are not handed on yet."""

    def __init__(self, door: Door | None) -> None:
        self.door = door
        self.came: deque[Any] = deque()
        # What gRPC's loop waits for.
        self.wanted: asyncio.Future[Any] | None = None
        # Calls asked for that have not come yet.
        self.asked = 0
        self.again: asyncio.TimerHandle | None = None

    @property
    def most(self) -> int:
        return _AT_ONCE if self.door else 1


class _Intake(cygrpc.AioServer):
    doors: Mapping[bytes, Door]

    def __init__(
        self, loop: asyncio.AbstractEventLoop, interceptors: Sequence[grpc.aio.ServerInterceptor], options: Any
    ) -> None:
        super().__init__(loop, None, (), tuple(interceptors), tuple(options), None)
        self.doors = {}
        # gRPC's own server is gone once it has stopped, and whatever asks it for anything then ends the process.
        self._stopping = self._stopped = False
        self._here = loop
        self._methods: dict[bytes | None, _Method] = {}
        # The event loop itself keeps no task alive.
        self._telling: set[asyncio.Task[None]] = set()

    def _make_request_call_future(self, name: bytes | None) -> "asyncio.Future[Any]":
        """Overrides gRPC's: the next call of a method, or (None) of all that are not registered."""
        method = self._methods.get(name)
        if method is None:
            method = self._methods[name] = _Method(self.doors.get(name) if name else None)
        wanted = method.wanted = self._here.create_future()
        self._hand_on(name, method)
        return wanted

    async def shutdown(self, grace: float | None) -> None:
        """Overrides gRPC's, which calls it itself when its loop has failed."""
        self._stopping = True
        try:
            await super().shutdown(grace)
        finally:
            self._stopped = True
            for method in self._methods.values():
                method.came.clear()

    def _ask(self, name: bytes | None, method: _Method) -> None:
        while not self._stopping and method.asked + len(method.came) < method.most:
            method.asked += 1
            self._here.create_task(self._next(name)).add_done_callback(partial(self._came, name, method))

    async def _next(self, name: bytes | None) -> Any:
        # It runs a turn of the loop after it was asked for.
        if self._stopping:
            raise cygrpc._RequestCallError  # as gRPC's server says of those that it was asked for when it stops
        return await (self._request_call() if name is None else self._request_registered_call(name))

    def _came(self, name: bytes | None, method: _Method, asked: "asyncio.Task[Any]") -> None:
        method.asked -= 1
        error = None if asked.cancelled() else asked.exception()
        if not (asked.cancelled() or error):
            method.came.append(asked.result())
            self._hand_on(name, method)
        elif method.wanted and not method.wanted.done():
            # The server stops, or everything does; gRPC's loop is waiting to be told so.
            if error:
                method.wanted.set_exception(error)
            else:
                method.wanted.cancel()

    def _hand_on(self, name: bytes | None, method: _Method) -> None:
        while method.came:
            let = method.door.look() if method.door else Let.IN
            if let is Let.OUT and method.door:
                self._refuse(method.door, method.came.popleft())
            elif let is Let.IN and method.wanted and not method.wanted.done():
                method.wanted.set_result(method.came.popleft())
                if method.door:
                    method.door.entered()
            else:
                if let is Let.LATER and method.again is None:
                    method.again = self._here.call_later(_LATER, self._look_again, name, method)
                break
        if method.wanted and not (method.wanted.done() and method.door is None):
            self._ask(name, method)

    def _look_again(self, name: bytes | None, method: _Method) -> None:
        method.again = None
        if not self._stopped:
            self._hand_on(name, method)

    def _refuse(self, door: Door, call: Any) -> None:
        metadata = cygrpc._ServicerContext(call, None, None, self._here).invocation_metadata()
        try:
            copy_context().run(door.refuse, metadata, partial(self._tell, call))
        except Exception:
            # Whoever comes next is still to be asked for.
            logger.exception("A call was refused, and then this happened")
            self._tell(call, grpc.StatusCode.INTERNAL, "The adapter failed.", ())

    def _tell(self, call: Any, code: grpc.StatusCode, details: str, metadata: Metadata) -> None:
        end = (
            cygrpc.SendInitialMetadataOperation((), 0),
            cygrpc.SendStatusFromServerOperation(metadata, code.value[0], details, 0),
        )
        task = self._here.create_task(self._end(call, end))
        self._telling.add(task)
        task.add_done_callback(self._told)

    async def _end(self, call: Any, end: tuple[Any, ...]) -> None:
        if not self._stopped:
            await cygrpc.execute_batch(call, end, self._here)

    def _told(self, task: "asyncio.Task[None]") -> None:
        self._telling.discard(task)
        if not task.cancelled():
            task.exception()  # whose client has left gets nothing, which is nobody's fault


class Server(grpc.aio.Server):
    """grpc.aio's server, with a door before some of its registered methods."""

    def __init__(self, interceptors: Sequence[grpc.aio.ServerInterceptor], options: Sequence[tuple[str, int]]) -> None:
        self._intake = _Intake(cygrpc.get_working_loop(), interceptors, options)

    def use(self, doors: Mapping[str, Door]) -> None:
        """Before it starts: the doors of methods, by their full names."""
        self._intake.doors = {name.encode(): door for name, door in doors.items()}

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._intake.add_generic_rpc_handlers(generic_rpc_handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler]
    ) -> None:
        named = {f"/{service_name}/{name}": handler for name, handler in method_handlers.items()}
        self._intake.add_registered_method_handlers(named)

    def add_insecure_port(self, address: str) -> int:
        return _bound(address, self._intake.add_insecure_port(address.encode()))

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        return _bound(address, self._intake.add_secure_port(address.encode(), server_credentials))

    async def start(self) -> None:
        await self._intake.start()

    async def stop(self, grace: float | None) -> None:
        await self._intake.shutdown(grace)

    async def wait_for_termination(self, timeout: float | None = None) -> bool:
        return await self._intake.wait_for_termination(timeout)


def _bound(address: str, port: int) -> int:
    if not port:
        raise RuntimeError(f"{address} can't be bound")
    return port
