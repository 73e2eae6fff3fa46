"""What the verbs that change production share: the question, the way there, and the report at the end."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli import UsageError, print_json, progress_console
from promote.commands.yard import Yard, say

if TYPE_CHECKING:
    from contracts.record import Record
    from promote.intent import Action
    from promote.rollover import Outcome, Rollover
    from registry import Registry, ServingState

_LOG_SECONDS = 2.0


def rollover(yard: Yard, pods: list[str] | None, timeout: float | None, unchecked: bool = False) -> "Rollover":
    from contracts import location
    from promote.pods import Pods
    from promote.rollover import Rollover

    named = dict(zip(yard.flags[::2], yard.flags[1::2], strict=True)).get("--registry")
    return Rollover(
        yard.registry,
        Pods(pods or yard.settings.serving.pods),
        yard.settings.mail,
        timeout or yard.settings.serving.rollover_timeout,
        # Whoever pastes a command of the mail stands in another folder.
        place=location.anchored(named, Path.cwd()) if named else yard.settings.registry.uri,
        unchecked=unchecked,
        say=say,
    )


def carry_out(
    rollover: "Rollover",
    action: "Action",
    version: int,
    shown: "ServingState",
    approver: str | None,
    reason: str,
    as_json: bool,
) -> None:
    from rich.markup import escape

    from promote import views
    from registry import place
    from registry.journal import user

    console = progress_console()
    rollover.say = lambda line: console.print(line, markup=False, soft_wrap=True)
    if not console.is_terminal:
        rollover.waiting = _now_and_then(rollover.say)
        outcome = rollover.run(action, version, approver or user(), reason, shown)
    else:
        with console.status(f"version {version}") as spinner:
            rollover.waiting = lambda line: spinner.update(escape(line))
            outcome = rollover.run(action, version, approver or user(), reason, shown)
    if as_json:
        print_json(views.outcome_json(outcome))
    else:
        _tell(outcome)
    if shown.stable is None and (danger := place.warning(rollover.place)):
        say(danger)


def already(version: int, previous: int | None, action: "Action", as_json: bool) -> None:
    from promote import views
    from promote.rollover import Outcome

    if as_json:
        print_json(views.outcome_json(Outcome(action, version, previous, already=True)))
    else:
        sys.stdout.write(f"Version {version} is in production already; nothing was changed.\n")


def declined(as_json: bool) -> None:
    say("Nothing was changed.")
    if as_json:
        print_json({"promoted": None})


def agreed(question: str, must_ask: bool) -> bool:
    if not has_terminal():
        if must_ask:
            raise UsageError(f"{question} There is no terminal to ask on; add --yes, or name the version.")
        return True
    return typer.confirm(question, err=True)


def has_terminal() -> bool:
    return sys.stdin.isatty()


def record_or_none(registry: "Registry", version: int | None) -> "Record | None":
    from registry import UnknownVersion

    try:
        return registry.record(version) if version else None
    except UnknownVersion:  # a configuration made by hand may name what has no record
        return None


def _now_and_then(say: Callable[[str], None]) -> Callable[[str], None]:
    """For a log: what is waited for, but not four times a second."""
    last = time.monotonic()

    def tell(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _LOG_SECONDS:
            say(f"waiting: {line}")
            last = time.monotonic()

    return tell


def _tell(outcome: "Outcome") -> None:
    from cli.text import counted

    before = f"; version {outcome.previous} stays loaded, as 'previous'" if outcome.previous else ""
    where = f" on {counted(len(outcome.pods), 'pod')}" if outcome.pods else ""
    sys.stdout.write(f"Version {outcome.version} is in production{where}{before}.\n")
    if outcome.mail and outcome.mail.error:
        say(f"The mail was not sent: {outcome.mail.error} It is in {outcome.mail.where or 'no place'}.")
    elif outcome.mail:
        say(f"Mail: {outcome.mail.where}")
