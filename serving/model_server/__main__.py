"""`python -m serving.model_server`: flags in, a serving process out."""

from __future__ import annotations

import argparse
import errno
import gc
import logging
import os
import platform
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from serving.model_server import flags as flag_parser
from serving.model_server.errors import ServingError, StartError
from serving.model_server.version import VERSION

if TYPE_CHECKING:
    from serving.model_server.server import Server

log = logging.getLogger("serving.model_server")
DRAIN_SECONDS = 20.0  # within Kubernetes' default grace period of 30 s


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the server until SIGTERM or SIGINT."""
    flags = flag_parser.parse(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname).1s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        if flags.version:
            _print_versions()
        else:
            _serve(flags)
    except StartError as error:
        sys.stderr.write(f"error: {error}\n")
        _leave(error.exit_code)
    _leave(0)


def _leave(code: int) -> NoReturn:
    """End at once: threads that still load a model would keep an ordinary exit waiting."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _print_versions() -> None:
    from importlib.metadata import version

    # The protocol's version: operators' scripts read this line of the original.
    print(f"TensorFlow ModelServer: {version('tensorflow-serving-api')} (Trainyard {VERSION})")
    print(f"TensorFlow Library: {version('tensorflow')}")


def _serve(flags: argparse.Namespace) -> None:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    for sentence in flag_parser.without_effect(flags):
        log.warning("%s", sentence)
    # Ports and configuration first: what is wrong with them shows before TensorFlow's slow import.
    listener = _listen(flags.host, flags.rest_api_port) if flags.rest_api_port else None
    if flags.port:
        _listen(flags.host, flags.port).close()
    if _lacks_avx():
        raise StartError("This processor has no AVX, which TensorFlow's builds need; use a machine that has it.", 6)
    server = _imported()(flags, listener)
    # A run that has ended waits so long at most for a thread that is at work in Python; 5 ms otherwise (decision 22).
    sys.setswitchinterval(0.001)
    worker = threading.Thread(target=_start, args=(server, stopping), daemon=True)
    worker.start()
    stopping.wait()
    server.stop(DRAIN_SECONDS)
    if server.start_error is not None:
        raise server.start_error


def _imported() -> type[Server]:
    """The server, with TensorFlow: hundreds of thousands of objects that stay for good.

    To look through them all for garbage, now and then, would hold every thread for a third of a second.
    """
    gc.disable()
    # TensorFlow imports Keras last of all, and goes on without it: a third of all its modules, and none of them needed
    # by a SavedModel's signatures.
    sys.modules.setdefault("keras", None)  # type: ignore[arg-type]
    from serving.model_server.server import Server

    gc.collect()
    gc.freeze()
    gc.enable()
    return Server


def _lacks_avx() -> bool:
    """Whether TensorFlow's import would end this process by a signal; the server stands alone, so it asks by itself."""
    from numpy._core._multiarray_umath import __cpu_features__

    return platform.machine() in ("x86_64", "AMD64") and not __cpu_features__["AVX"]


def _start(server: Server, stopping: threading.Event) -> None:
    try:
        server.start()
    except Exception as problem:
        if stopping.is_set():
            return  # told to end while models were loading
        if isinstance(problem, StartError):
            server.start_error = problem
        elif isinstance(problem, ServingError):
            server.start_error = StartError(f"Failed to start server. Error: {problem}", 4)
        else:
            log.exception("The server could not start")
            server.start_error = StartError("This is a bug in Trainyard; please report it with the lines above.", 1)
        stopping.set()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol's number: asyncio turns off Nagle's algorithm, which adds 40 ms to an answer, for such alone.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        way_out = {
            errno.EADDRNOTAVAIL: "this machine has no such address; --host=0.0.0.0 stands for all that it has",
            errno.EACCES: "choose a port from 1024 on",
        }.get(error.errno or 0, "choose another port or stop what uses it")
        raise StartError(f"Cannot listen on {host}:{port} ({error.strerror}): {way_out}.", 6) from None
    return listener


if __name__ == "__main__":
    main()
