"""Adapters as processes of their own."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

COMMAND = [sys.executable, "-m", "serving.adapter"]


@dataclass(frozen=True)
class AdapterProcess:
    """A running adapter and where it said that it listens."""

    process: subprocess.Popen[str]
    http: str
    grpc: str


@contextmanager
def adapter_process(backend: str, *flags: str) -> Iterator[AdapterProcess]:
    """An adapter on free ports; killed at the end if it still runs."""
    command = [*COMMAND, "--backend", backend, "--grpc-port", "0", "--http-port", "0", *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            said = "".join(process.stderr.readline() for _ in range(3))
            page, address = re.search(r"Page +(\S+)/\n", said), re.search(r"gRPC +(\S+)\n", said)
            assert page and address, said
            yield AdapterProcess(process, page[1], address[1])
        finally:
            process.kill()
