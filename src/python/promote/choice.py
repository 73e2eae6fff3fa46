"""Which version may go where."""

import shlex
from collections.abc import Sequence

from cli.errors import GateNotPassed, UsageError
from contracts.record import Record
from promote.intent import Action
from registry import Entry, Registry

# Flags that the caller gave to say which registry is meant; what we tell him to call needs them too.
Where = Sequence[str]


def newest_tested(registry: Registry, where: Where = ()) -> Record:
    """The newest tested version, which must be newer than production's.

    Raises:
        GateNotPassed: there is none.
    """
    stable = registry.serving().stable or 0
    records = [record for record in registry.records() if not record.removed]
    tested = [record for record in records if record.state == "tested"]
    if not tested:
        waiting = [record for record in records if record.state == "candidate"]
        next_step = (
            f"test the newest candidate with `{_test(waiting[-1], where)}`"
            if waiting
            else f"see what there is with `{promote_call('list', where)}`"
        )
        raise GateNotPassed(f"No version of '{registry.model}' has passed its tests; {next_step}.")
    if tested[-1].version < stable:
        raise GateNotPassed(
            f"No tested version of '{registry.model}' is newer than {stable}, which is in production; "
            "name an older one with --version."
        )
    return tested[-1]


def check(record: Record, action: Action, where: Where = (), unchecked: bool = False) -> None:
    """Whether the state of a version allows what is to be done with it.

    Raises:
        GateNotPassed: it does not.
        UsageError: the run that made it left out the checks, and `unchecked` is not given.
    """
    if action == "promote":
        _check_promotable(record, where)
        if not (record.checked or unchecked):
            raise UsageError(
                f"Version {record.version} was made by a run that left out the checks (`--no-check`); run them, or "
                f"take it as it is with `{promote_call(f'run --version {record.version} --unchecked', where)}`."
            )
    else:
        _check_rollback(record, where)


def _check_promotable(record: Record, where: Where) -> None:
    """
    Raises:
        GateNotPassed: the version has not passed its tests, or was in production before.
    """
    version = record.version
    if record.state == "training" and record.files and record.awaits:
        raise GateNotPassed(f"Version {version} awaits the checks of its commit (run {record.awaits}).")
    if record.state == "training":
        raise GateNotPassed(f"Version {version} has no model yet: its training has not ended.")
    if record.missed_gate():
        why = "; ".join(record.gate_reasons()) or "see its report"
        raise GateNotPassed(
            f"Version {version} did not pass its training gate, so no files were saved ({why}); train again."
        )
    if record.state == "candidate":
        raise GateNotPassed(f"Version {version} has not been tested; test it with `{_test(record, where)}`.")
    if record.state == "rejected":
        failed = [verdict for verdict in record.verdicts if verdict.kind == "test" and not verdict.passed]
        reasons = f" ({'; '.join(failed[-1].reasons)})" if failed and failed[-1].reasons else ""
        raise GateNotPassed(
            f"Version {version} was rejected by its tests{reasons}; "
            f"once the reason is gone, test it again with `{_test(record, where)}`."
        )
    if record.state == "retired":
        raise GateNotPassed(
            f"Version {version} was in production before; go back to it with "
            f"`{promote_call(f'rollback --to {version}', where)}`."
        )


def _check_rollback(record: Record, where: Where) -> None:
    """
    Raises:
        GateNotPassed: the version was never in production.
    """
    if record.state not in ("production", "retired"):
        raise GateNotPassed(
            f"Version {record.version} is '{record.state}' and was never in production; "
            f"promote it with `{promote_call(f'run --version {record.version}', where)}`."
        )


def before_current(registry: Registry, where: Where = ()) -> int:
    """The version that was in production before the present one was promoted.

    Promotions pile up and a rollback goes down the pile, so that rolling back twice goes back two steps and never
    forward to what was rolled back.

    Raises:
        UsageError: there is no such version.
    """
    serving = registry.serving()
    if serving.stable is None:
        raise UsageError(f"Nothing is in production yet; promote a version with `{promote_call('run', where)}`.")
    pile = _pile(registry.journal.entries())
    if serving.stable not in pile:  # the configuration was made by hand
        if serving.previous is not None:
            return serving.previous
    elif place := pile.index(serving.stable):
        return pile[place - 1]
    # Not before they are needed: going back must work with a record of another version that can't be read.
    retired = [record.version for record in registry.records() if record.state == "retired"]
    if not retired:
        raise UsageError(
            f"Version {serving.stable} is the first that was ever in production, so there is none to go back to."
        )
    raise UsageError(
        f"No version was in production before {serving.stable}; what was there at other times is {_listed(retired)}: "
        f"name it, as in `{promote_call(f'rollback --to {retired[-1]}', where)}`."
    )


def _pile(entries: list[Entry]) -> list[int]:
    pile: list[int] = []
    for entry in entries:
        if entry.action not in ("promote", "rollback"):
            continue
        if entry.version in pile:
            del pile[pile.index(entry.version) + 1 :]
        else:
            pile.append(entry.version)
    return pile


def _listed(versions: Sequence[int]) -> str:
    return ", ".join(str(version) for version in versions)


def _test(record: Record, where: Where) -> str:
    command = ["./pants", "run", "src/python/testing:test_model", "--", "--version", str(record.version), *where]
    # Another dataset may have other classes.
    return shlex.join([*command, *(["--dataset", record.dataset.uri] if record.dataset else [])])


def promote_call(verb: str, where: Where) -> str:
    """The line to paste for a verb of promote."""
    return shlex.join(["./pants", "run", "src/python/promote", "--", *verb.split(), *where])
