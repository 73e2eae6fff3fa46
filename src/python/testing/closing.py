"""The last lines of `test_model`: figures, where the page is, and the command that comes next."""

import shlex
from collections import Counter
from collections.abc import Sequence

from contracts.record import Record
from contracts.verdict import ModelVerdict, OneTest, Outcome

_KINDS: tuple[Outcome, ...] = ("passed", "failed", "broken", "skipped")


def lines(made: ModelVerdict, record: Record, where: Sequence[str] = (), tested_with: Sequence[str] = ()) -> list[str]:
    """What to say of a verdict on `record`; `where` are the flags that name model and registry, `tested_with` those
    that a test takes beside them."""
    said = [f"{_counts(made.tests)}; report: {made.report}"]
    said += [f"Allowed for chance: {sentence}" for sentence in made.allowed_for_chance]
    if made.metrics:
        said.append(f"Version {record.version}: {_figures(made)}")
    said.append(_next(made, record, where, tested_with))
    return said


def _counts(tests: Sequence[OneTest]) -> str:
    outcomes = Counter(test.outcome for test in tests)
    counts = ", ".join(f"{outcomes[kind]} {kind}" for kind in _KINDS if kind in outcomes or kind != "broken")
    own = sum(test.suite != "common" for test in tests)
    return counts + (f" ({own} of the model's own)" if own else "")


def _figures(made: ModelVerdict) -> str:
    assert made.metrics
    accuracy = f"accuracy {made.metrics.accuracy:.3f} as served"
    if made.intervals:
        low, high = made.intervals.accuracy
        accuracy += f" ({low:.3f} to {high:.3f})"
    if made.baseline:
        accuracy += f", production's version {made.baseline_version} {made.baseline.accuracy:.3f}"
    recalls = ", ".join(f"{label} {own.recall:.3f}" for label, own in made.metrics.per_class.items())
    return f"{accuracy}; recall {recalls}" if recalls else accuracy


def _next(made: ModelVerdict, record: Record, where: Sequence[str], tested_with: Sequence[str]) -> str:
    promote, version = ["./pants", "run", "src/python/promote", "--"], str(record.version)
    if not made.passed and record.state != "production":
        command = ["./pants", "run", "src/python/testing:test_model", "--", "--version", version, *where, *tested_with]
        return f"Once the reason is gone: {shlex.join(command)}"
    if record.state == "tested":
        more = [] if record.checked else ["--unchecked"]
        return f"Next: {shlex.join([*promote, 'run', '--version', version, *more, *where])}"
    if record.state == "retired":
        return f"To go back to it: {shlex.join([*promote, 'rollback', '--to', version, *where])}"
    return f"What is served: {shlex.join([*promote, 'status', *where])}"
