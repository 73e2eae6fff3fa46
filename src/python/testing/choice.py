"""Which version is tested where none is named, and whether a named one can be."""

import shlex
from collections.abc import Sequence

from cli import UsageError
from contracts.record import Record
from registry import Registry

_WAITING = ("candidate", "tested")


def newest(registry: Registry, where: Sequence[str] = ()) -> Record:
    """The newest version on its way to production, else production's; `where` are the flags to test it with.

    Raises:
        UsageError: there is neither; the sentence names what there is.
    """
    records = registry.records()
    stable = registry.serving().stable
    # What is older than production was passed over and is no longer on its way there.
    waiting = [r for r in records if r.state in _WAITING and r.version > (stable or 0)]
    if waiting:
        return waiting[-1]
    if stable is not None:
        return registry.record(stable)
    rejected = [record for record in records if record.state == "rejected" and record.files and not record.removed]
    if not rejected:
        missed = [record for record in records if record.missed_gate()]
        more = f" Version {missed[-1].version} missed its gate, so its files were not kept." if missed else ""
        raise UsageError(
            f"The registry holds no version of '{registry.model}' to test; train one first: "
            f"`./pants run src/python/training:train -- --model {registry.model}`.{more}"
        )
    last = rejected[-1].version
    raise UsageError(
        f"No version of '{registry.model}' waits to be tested. Version {last} was rejected by its tests; test it again "
        f"with `{_again(last, where)}`, or train another one."
    )


def named(registry: Registry, version: int) -> Record:
    """
    Raises:
        UnknownVersion: there is no such version.
        UsageError: it has no files that could be tested.
    """
    record = registry.record(version)
    if record.missed_gate():
        why = f" ({'; '.join(record.gate_reasons())})" if record.gate_reasons() else ""
        raise UsageError(
            f"Version {version} of '{registry.model}' missed its gate{why}, so no files of it were kept and there is "
            "nothing to test; train another one."
        )
    return record


def _again(version: int, where: Sequence[str]) -> str:
    return shlex.join(["./pants", "run", "src/python/testing:test_model", "--", "--version", str(version), *where])
