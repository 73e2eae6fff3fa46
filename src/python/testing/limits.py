"""The limits that a version's tests hold it to, and where each of the gates comes from."""

from dataclasses import replace

from contracts.record import Record
from models import Model
from models.origin import origin
from testing.subject import Budget

_GATES = ("min_accuracy", "min_recall")


def of(model: Model, record: Record, min_accuracy: float | None = None, min_recall: float | None = None) -> Budget:
    """Those of `model`'s settings, but for the gates that flags give.

    What `record` was held to at its training is told beside a gate that differs: a version may have passed the one and
    be rejected by the other.
    """
    flags = dict(zip(_GATES, (min_accuracy, min_recall), strict=True))
    budget = Budget.of(model.settings)
    origins: dict[str, str] = {}
    trained_with = _gates_of(record)
    for name, flag in flags.items():
        if flag is not None:
            budget = replace(budget, min_accuracy=flag) if name == "min_accuracy" else replace(budget, min_recall=flag)
        origins[name] = f"by --{name.replace('_', '-')}" if flag is not None else f"by {origin(model, 'gates', name)}"
        before = trained_with.get(name)
        if before is not None and before != getattr(budget, name):
            origins[name] += f"; at its training the gate was {before:g}"
    return replace(budget, origins=origins)


def _gates_of(record: Record) -> dict[str, float]:
    """The gates that a version passed at its training; nothing where its record does not tell."""
    for verdict in reversed(record.verdicts):
        if verdict.kind == "gate" and isinstance(verdict.details, dict):
            gates = verdict.details.get("gates") or {}
            return {name: float(gates[name]) for name in _GATES if name in gates}
    return {}
