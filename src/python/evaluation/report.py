"""What a training run came to, as a page and as JSON."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import pages
from contracts.grouping import described
from contracts.record import Evaluation, Metrics, Record
from evaluation.judgement import Judgement
from evaluation.temperature import NONE

PAGE_NAME, JSON_NAME = "evaluation.html", "evaluation.json"
_MOST_MISTAKES = 12


@dataclass(frozen=True)
class Account:
    """All that the page tells beside the record. Of the test images, unless it says otherwise."""

    metrics: Metrics
    judgement: Judgement
    # The same before temperature scaling.
    unscaled: Judgement
    temperature: float
    probabilities: np.ndarray  # float [N, C]
    truth: np.ndarray  # int [N]
    files: Sequence[Path]
    baseline: Metrics | None = None
    # {"loss", "validation_loss", "validation_accuracy"} of each epoch of the chosen trial.
    epochs: Sequence[Mapping[str, float]] = ()
    # Number of the one whose weights the model has.
    best_epoch: int = 0


def summary(account: Account) -> Evaluation:
    """What a record says of it."""
    own = account.judgement
    return Evaluation(
        roc_auc=own.roc_auc_mean,
        mean_confidence=own.mean_confidence,
        calibration_error=own.calibration_error,
        calibration_error_unscaled=account.unscaled.calibration_error,
        temperature=account.temperature,
        accuracy_interval=own.accuracy_interval,
        recall_intervals=own.recall_intervals,
        weak=[f"{part.by} {part.name}" for part in own.slices if part.weak],
    )


def as_json(account: Account) -> bytes:
    whole = {
        "metrics": account.metrics.model_dump(),
        "judgement": account.judgement.as_json(),
        "calibration_error_unscaled": account.unscaled.calibration_error,
        "temperature": account.temperature,
        "epochs": [dict(epoch) for epoch in account.epochs],
    }
    return json.dumps(whole, indent=1).encode()


def save(save_file: Callable[[str, bytes], str], record: Record, account: Account, reasons: Sequence[str]) -> str:
    """Hands both forms to `save_file`, by name and content, and returns where that put the page.

    `reasons` tell why the version misses the gate.
    """
    save_file(JSON_NAME, as_json(account))
    return save_file(PAGE_NAME, render(account, record, reasons))


def render(account: Account, record: Record, reasons: Sequence[str] = ()) -> bytes:
    """The page, as UTF-8: self-contained, in the colours that its reader prefers."""
    from evaluation import plots
    from pages.plots import both, confusion

    metrics, own, scaled = account.metrics, account.judgement, account.temperature != NONE
    drawn = {
        "confusion": both(lambda theme: confusion(metrics.confusion, record.labels, theme)),
        "reliability": both(lambda theme: plots.reliability(own.bins, account.unscaled.bins if scaled else (), theme)),
        "roc": both(lambda theme: plots.roc(account.probabilities, account.truth, record.labels, theme)),
    }
    if account.epochs:
        drawn["curves"] = both(lambda theme: plots.curves(account.epochs, account.best_epoch, theme))
    wrong = np.flatnonzero(account.probabilities.argmax(axis=1) != account.truth)
    view = {
        "record": record,
        "groups": described(record.dataset.groups) if record.dataset else "",
        "metrics": metrics,
        "own": own,
        "unscaled": account.unscaled,
        "temperature": account.temperature,
        "scaled": scaled,
        "baseline": account.baseline,
        "reasons": list(reasons),
        "classes": [_class(label, account) for label in record.labels],
        "slices": [part for part in own.slices if part.by != "class"],
        "plots": drawn,
        "wrong": len(wrong),
        "mistakes": _mistakes(wrong, account, record.labels),
    }
    return pages.render("evaluation", "report.html", view)


def _class(label: str, account: Account) -> dict[str, object]:
    own, before = account.judgement, (account.baseline.per_class.get(label) if account.baseline else None)
    return {
        "label": label,
        "figures": account.metrics.per_class[label],
        "recall": own.recall_intervals[label],
        "precision": own.precision_intervals[label],
        "f1": own.f1_intervals[label],
        "roc_auc": own.roc_auc[label],
        "before": before,
    }


def _mistakes(wrong: np.ndarray, account: Account, labels: Sequence[str]) -> list[dict[str, object]]:
    surest = wrong[np.argsort(-account.probabilities[wrong].max(axis=1), kind="stable")][:_MOST_MISTAKES]
    return [
        {
            "image": pages.thumbnail(account.files[place].read_bytes()),
            "name": account.files[place].name,
            "label": labels[account.truth[place]],
            "answered": labels[int(account.probabilities[place].argmax())],
            "probability": float(account.probabilities[place].max()),
        }
        for place in surest
    ]
