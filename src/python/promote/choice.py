"""Which version may go where."""

from cli.errors import GateNotPassed, UsageError
from promote.intent import Action
from registry import Entry, Record, Registry, ServingState

TEST_COMMAND = "./pants run src/python/testing:test_model -- --version"
PROMOTE_COMMAND = "./pants run src/python/promote --"


def newest_tested(registry: Registry) -> Record:
    """The newest tested version, which must be newer than production's.

    Raises:
        GateNotPassed: there is none.
    """
    stable = registry.serving().stable or 0
    tested = [record for record in registry.records() if record.state == "tested"]
    if not tested:
        raise GateNotPassed(f"No version of '{registry.model}' has passed its tests; see `{PROMOTE_COMMAND} list`.")
    if tested[-1].version < stable:
        raise GateNotPassed(
            f"No tested version of '{registry.model}' is newer than {stable}, which is in production; "
            "name an older one with --version."
        )
    return tested[-1]


def check(record: Record, action: Action) -> None:
    """Whether the state of a version allows what is to be done with it.

    Raises:
        GateNotPassed: it does not.
    """
    if action == "promote":
        check_promotable(record)
    else:
        check_rollback(record)


def check_promotable(record: Record) -> None:
    """
    Raises:
        GateNotPassed: the version has not passed its tests, or was in production before.
    """
    version = record.version
    if record.state == "training":
        raise GateNotPassed(f"Version {version} has no model: its training has not ended, or it missed the gate.")
    if record.state == "candidate":
        raise GateNotPassed(f"Version {version} has not been tested; test it with `{TEST_COMMAND} {version}`.")
    if record.state == "rejected":
        failed = [verdict for verdict in record.verdicts if verdict.kind == "test" and not verdict.passed]
        reasons = f" ({'; '.join(failed[-1].reasons)})" if failed and failed[-1].reasons else ""
        raise GateNotPassed(
            f"Version {version} was rejected by its tests{reasons}; "
            f"once the reason is gone, test it again with `{TEST_COMMAND} {version}`."
        )
    if record.state == "retired":
        raise GateNotPassed(
            f"Version {version} was in production before; go back to it with "
            f"`{PROMOTE_COMMAND} rollback --to {version}`."
        )


def check_rollback(record: Record) -> None:
    """
    Raises:
        GateNotPassed: the version was never in production.
    """
    if record.state not in ("production", "retired"):
        raise GateNotPassed(
            f"Version {record.version} is '{record.state}' and was never in production; "
            f"promote it with `{PROMOTE_COMMAND} run --version {record.version}`."
        )


def before_current(entries: list[Entry], serving: ServingState) -> int:
    """The version that was in production before the present one was promoted.

    Promotions pile up and a rollback goes down the pile, so that rolling back twice goes back two steps and never
    forward to what was rolled back.

    Raises:
        UsageError: there is no such version.
    """
    if serving.stable is None:
        raise UsageError(f"Nothing is in production yet; promote a version with `{PROMOTE_COMMAND} run`.")
    pile: list[int] = []
    for entry in entries:
        if entry.action not in ("promote", "rollback"):
            continue
        if entry.version in pile:
            del pile[pile.index(entry.version) + 1 :]
        else:
            pile.append(entry.version)
    if serving.stable not in pile:  # the configuration was made by hand
        if serving.previous is not None:
            return serving.previous
    elif place := pile.index(serving.stable):
        return pile[place - 1]
    raise UsageError(f"No version was in production before {serving.stable}; name one with --to.")
