"""A name for each request, by which its sender, the log and a problem document speak of the same one."""

import random
import re
from contextvars import ContextVar

# Taken from here if the sender says one, and answered here; over gRPC it is metadata of that name.
HEADER = "x-request-id"
# What can stand in a header, in a line of log and in an address as it is.
_FIT = re.compile("[A-Za-z0-9][A-Za-z0-9._~:+=@/-]{0,127}")
current: ContextVar[str] = ContextVar("request_id", default="")


def begin(told: str | None) -> str:
    """The name of the request that this task works on from now on: the one that was told, if it is fit for one."""
    name = told if told and _FIT.fullmatch(told) else f"{random.getrandbits(128):032x}"
    current.set(name)
    return name


def metadata() -> tuple[tuple[str, str], ...]:
    """What a gRPC call's end says of it."""
    name = current.get()
    return ((HEADER, name),) if name else ()
