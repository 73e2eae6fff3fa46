"""The mail about how training or a test ended, made from what the registry knows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from comparison import history
from contracts.verdict import Fault
from notify.delivery import send
from notify.mails import candidate_passed, gate_missed, tests_broken, tests_failed
from notify.rendering import Cause
from registry import Registry
from settings.schema import Mail

# The report in which the tests leave the confusion matrix as a picture: drawing it needs more than this resolve has.
_CONFUSION = "confusion.png"

Kind = Literal["gate_missed", "candidate_passed", "tests_failed", "tests_broken"]


@dataclass(frozen=True)
class Run:
    """What a mail tells of the run that it is about, which may not be the one that made the version."""

    # Why it happened; empty: the record's reason stands.
    why: str = ""
    # Files of model tests, from the repository's root, whose commits are listed.
    test_files: Sequence[str] = ()
    # The commit after which those of a verdict are listed; None: the newest.
    since: str | None = None
    # Of "tests_broken".
    faults: Sequence[Fault] = ()


def tell(
    mail: Mail,
    uri: str,
    model: str,
    kind: Kind,
    version: int,
    report: str,
    say: Callable[[str], None],
    run: Run | None = None,
) -> str | None:
    """Tells the owner, and returns where the mail went. Nothing that goes wrong with it may change how things end.

    `uri` is the registry's, which is asked about `version` of `model`; `say` hears why a mail was not sent. Tests that
    went wrong by themselves are told to those who committed them too.
    """
    try:
        return _send(mail, uri, model, kind, version, report, say, run or Run())
    except Exception as error:
        say(f"The mail to the owner failed: {error}")
        return None


def _send(
    mail: Mail,
    uri: str,
    model: str,
    kind: Kind,
    version: int,
    report: str,
    say: Callable[[str], None],
    run: Run,
) -> str:
    registry = Registry.open(uri, model)
    record = registry.record(version)
    stable = registry.serving().stable
    production = registry.record(stable) if stable is not None and stable != version else None
    changed = history.changed(record, production, Path.cwd())
    # A test may be broken since long ago.
    since = None if kind == "tests_broken" else run.since
    commits, committers = history.of_files(Path.cwd(), run.test_files, since)
    cause = Cause(run.why, commits)
    if kind == "gate_missed":
        message = gate_missed(record, production, registry=uri, report=report, changed=changed, cause=cause)
    elif kind == "tests_broken":
        message = tests_broken(record, run.faults, registry=uri, cause=cause)
    else:
        write = candidate_passed if kind == "candidate_passed" else tests_failed
        message = write(
            record,
            record.verdicts[-1],
            production,
            registry=uri,
            report=report,
            changed=changed,
            picture=registry.read_report(version, _CONFUSION),
            cause=cause,
        )
    delivery = send(mail, message, committers if kind == "tests_broken" else ())
    if delivery.error:
        say(f"The mail is in the outbox: {delivery.error}")
    return delivery.where
