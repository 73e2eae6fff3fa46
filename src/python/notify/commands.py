"""What an owner may do about a mail, as lines to paste into a shell."""

import shlex
from dataclasses import dataclass

from cli.text import one_line
from contracts.record import Record

_LONGEST_ARGUMENT = 1000
_PROMOTE = "src/python/promote"


@dataclass(frozen=True)
class Command:
    """A line for the owner to paste into a shell."""

    what: str
    line: str


def next_step(record: Record, registry: str) -> Command:
    """What there is to do with a version that passed."""
    if record.state == "production":
        return see_status(record, registry)
    if record.state == "retired":
        return go_back(record, registry, to=record.version, what="Go back to it")
    unchecked = [] if record.checked else ["--unchecked"]
    arguments = ["run", *unchecked, "--version", str(record.version)]
    return Command("Promote it", _shell(_PROMOTE, arguments, record, registry))


def see_status(record: Record, registry: str) -> Command:
    return Command("See what is served", _shell(_PROMOTE, ["status"], record, registry))


def go_back(record: Record, registry: str, to: int | None = None, what: str = "Go back") -> Command:
    """From `record` to the version `to`; default: the one before."""
    arguments = ["rollback", *(["--to", str(to)] if to is not None else [])]
    return Command(what, _shell(_PROMOTE, arguments, record, registry))


def repeat_tests(record: Record, registry: str) -> Command:
    arguments = ["--version", str(record.version), *_dataset(record)]
    return Command("Test it again", _shell("src/python/testing:test_model", arguments, record, registry))


def repeat_drift(record: Record, registry: str, looked: list[str]) -> Command:
    """`looked` are the flags that say where images were counted."""
    return Command("Look again", _shell("src/python/monitoring:drift", looked, record, registry))


def _dataset(record: Record) -> list[str]:
    """As other images may be of other classes."""
    return ["--dataset", record.dataset.uri] if record.dataset else []


def _shell(target: str, arguments: list[str], record: Record, registry: str) -> str:
    where = ["--model", record.model, *(["--registry", registry] if registry else [])]
    # A record is a file: its model and the place of its dataset may say anything.
    return shlex.join(
        ["./pants", "run", target, "--", *(one_line(one, _LONGEST_ARGUMENT) for one in (*arguments, *where))]
    )
