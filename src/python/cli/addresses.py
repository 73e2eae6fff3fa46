"""Network addresses as people type them, and what a name stands for."""

import socket
from collections.abc import Iterable

from cli.errors import InfrastructureError, UsageError


def split(address: str, what: str = "pod") -> tuple[str, int]:
    """HOST:PORT taken apart, the host without brackets.

    Raises:
        UsageError: it is none; `what` is it in the sentence.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{address!r} is not a {what}'s address; write HOST:PORT, such as 127.0.0.1:9090.")
    return host.strip("[]"), int(port)


def resolved(addresses: Iterable[str]) -> list[str]:
    """HOST:PORT of all that the names stand for, each once: a headless Kubernetes service stands for all its pods.

    Raises:
        UsageError: one is no HOST:PORT.
        InfrastructureError: a name has no address.
    """
    found: dict[str, None] = {}
    for address in addresses:
        host, port = split(address)
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise InfrastructureError(f"The pod {address} can't be found: {error.strerror or error}.") from None
        # A pod with addresses of both families is still one pod.
        family = socket.AF_INET if any(answer[0] == socket.AF_INET for answer in answers) else socket.AF_INET6
        for answer in answers:
            if answer[0] == family:
                ip = str(answer[4][0])
                found[f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"] = None
    return list(found)
