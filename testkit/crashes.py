"""Work in a child process that is killed at a certain call to its storage, and what the next process makes of it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from testkit.storage import BASE, Place, Verb, check, check_done

KILLED, FAILED = 77, 78
DISK_CALLS = ("open", "link", "replace", "rename", "unlink", "rmdir", "mkdir", "write", "utime", "fsync")
When = Literal["before", "after"]


@dataclass(frozen=True)
class Crash:
    number: int
    when: When


def killed(kind: str, crash: Crash, work: Callable[[], Any]) -> bool:
    """Runs `work` in a child that ends on the spot before or after its n-th call; False if it made fewer calls."""
    child = os.fork()
    if child == 0:
        try:
            _arm(kind, crash)
            work()
        except BaseException:
            os._exit(FAILED)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED), code
    return code == KILLED


def crashes(place: Place, verb: Verb, step: int = 1) -> Iterator[Crash]:
    """Kills `verb` at every (or every `step`-th) call, looks, does it again, and looks once more.

    Yields each after it was found right.

    Raises:
        AssertionError: what must hold does not.
    """
    number = 0
    while True:
        number += 1
        crash = Crash((number + 1) // 2, "before" if number % 2 else "after")
        if (number - 1) % step:
            continue
        name = f"{verb.name}-{crash.number}-{crash.when}" if place.kind == "bucket" else "copy"
        place.copy(BASE, name)
        if not killed(place.kind, crash, lambda name=name: verb.work(place.open(name), place.folder)):  # type: ignore[misc]
            assert crash.number > 15, "the calls are not counted"
            return
        try:
            registry = place.open(name)
            check(registry, verb)
            verb.again(registry, place.folder)
            check_done(registry, verb)
        except Exception as error:
            raise AssertionError(f"{verb.name} in a {place.kind}, killed {crash.when} call {crash.number}") from error
        yield crash


def _arm(kind: str, crash: Crash) -> None:
    left = crash.number

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            it = left == 0  # the client of a bucket makes calls in threads of its own as well
            if it and crash.when == "before":
                os._exit(KILLED)
            try:
                return real(*arguments, **options)
            finally:
                if it:
                    os._exit(KILLED)

        return call

    if kind == "directory":
        for name in DISK_CALLS:
            setattr(os, name, counted(getattr(os, name)))
    else:
        from requests.adapters import HTTPAdapter

        HTTPAdapter.send = counted(HTTPAdapter.send)  # type: ignore[method-assign]
