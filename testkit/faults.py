"""Work on a storage that fails: it succeeds or ends with one error of the table, and what is served stays right."""

import errno
import os
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.errors import Exit, TrainyardError
from registry import Registry, cloud
from testkit.buckets import FAULTS, Proxy
from testkit.crashes import DISK_CALLS
from testkit.storage import BASE, Place, Verb, check, check_done

# Seconds that a fault which stays is borne with; long enough for some tries at the pauses below.
PATIENCE, _FIRST_PAUSE, _LONGEST_PAUSE = 0.3, 0.005, 0.05
DISK_FAULTS = {"disk full": errno.ENOSPC, "no permission": errno.EACCES, "input/output error": errno.EIO}
CLOCK_FAULTS = {"clock jumps back": -400 * 86400, "clock jumps ahead": 400 * 86400}
# Of one request alone: they pass, and so nobody should hear of them.
PASSING = ("503", "429", "503 after", "reset", "reset in the answer", "cut answer", "changed answer")
_BUG = 99
TYPED = {int(code) for code in Exit} - {int(Exit.BUG)}


@dataclass(frozen=True)
class Met:
    fault: str
    # The first call that met it, from 1, and how many did; None for all from there on.
    first: int
    count: int | None
    # What the command would have ended with.
    code: int


def meetings(place: Place, proxy: Proxy, verb: Verb, step: int) -> Iterator[Met]:
    """`verb` meets each fault at every `step`-th call: once, and from there on.

    Raises:
        AssertionError: what must hold does not.
    """
    for order, fault in enumerate(faults_of(place.kind)):
        for count in (1, None):
            for number in range(1 + order % step, 1000, step):
                met = meet(place, proxy, verb, fault, number, count)
                if met is None:
                    break
                yield met


def meet(place: Place, proxy: Proxy, verb: Verb, fault: str, number: int, count: int | None) -> Met | None:
    """`verb` meets `fault` at call `number`, and is done again with the fault gone; None if it made fewer calls.

    Raises:
        AssertionError: what must hold does not.
    """
    name = f"{verb.name}-{fault}-{count}-{number}" if place.kind == "bucket" else "copy"
    place.copy(BASE, name)
    code, met = _meet(place, proxy, verb, name, fault, number, count)
    if not met:
        return None
    where = f"{verb.name} in a {place.kind}, {fault} at call {number}, {count or 'and from there on'}: {code}"
    assert code in TYPED, where
    if count == 1 and ((fault in PASSING and place.kind == "bucket") or fault in CLOCK_FAULTS):
        assert code == Exit.OK, where
    try:
        registry = place.open(name)
        check(registry, verb)
        verb.work(registry, place.folder)
        check_done(registry, verb)
    except Exception as error:
        raise AssertionError(where) from error
    return Met(fault, number, count, code)


def faults_of(kind: str) -> list[str]:
    return list(FAULTS) if kind == "bucket" else [*DISK_FAULTS, *CLOCK_FAULTS]


def _meet(
    place: Place, proxy: Proxy, verb: Verb, name: str, fault: str, first: int, count: int | None
) -> tuple[int, bool]:
    """The exit code of `verb`, and whether there were calls enough to meet the fault."""
    if place.kind == "bucket":
        proxy.spoil(fault, first, count)
        code = _in_child(lambda: place.open(name, PATIENCE if count is None else 60.0), verb, place.folder, _hasten)
        met = proxy.requests() >= first
        proxy.spoil(None)
        return code, met
    flag = place.folder / "met"
    flag.unlink(missing_ok=True)
    code = _in_child(lambda: place.open(name), verb, place.folder, lambda: _arm(fault, first, count, flag))
    return code, flag.exists()


def _in_child(opened: Callable[[], Registry], verb: Verb, folder: Path, arm: Callable[[], None]) -> int:
    """As a command would run it: in a process that has ended afterwards."""
    child = os.fork()
    if child == 0:
        try:
            registry = opened()
            arm()
            verb.work(registry, folder)
        except TrainyardError as error:
            os._exit(error.exit_code)
        except BaseException:
            traceback.print_exc()
            os._exit(_BUG)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _hasten() -> None:
    cloud._FIRST_PAUSE_SECONDS, cloud._LONGEST_PAUSE_SECONDS = _FIRST_PAUSE, _LONGEST_PAUSE


def _arm(fault: str, first: int, count: int | None, flag: Path) -> None:
    calls = 0
    mark = os.open(flag.parent, os.O_RDONLY)
    real_open, real_time, real_time_ns = os.open, time.time, time.time_ns

    def meets() -> bool:
        nonlocal calls
        calls += 1
        meets = calls >= first and (count is None or calls < first + count)
        if meets and calls == first:
            os.close(real_open(flag.name, os.O_CREAT | os.O_WRONLY, dir_fd=mark))
        return meets

    def failing(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            # What lies elsewhere, such as a library's temporary folder, is no part of the storage.
            inside = isinstance(arguments[0], int) or str(arguments[0]).startswith(str(flag.parent))
            if inside and meets() and fault in DISK_FAULTS:
                raise OSError(DISK_FAULTS[fault], os.strerror(DISK_FAULTS[fault]))
            return real(*arguments, **options)

        return call

    for name in DISK_CALLS:
        setattr(os, name, failing(getattr(os, name)))
    if fault in CLOCK_FAULTS:

        def offset() -> int:
            return CLOCK_FAULTS[fault] if calls >= first and (count is None or calls < first + count) else 0

        time.time = lambda: real_time() + offset()
        time.time_ns = lambda: real_time_ns() + offset() * 10**9
