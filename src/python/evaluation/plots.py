"""Plots of the report on a training run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.judgement import Bin
from pages.plots import LIGHT, POINTS, Theme, canvas, png, short


def curves(epochs: Sequence[Mapping[str, float]], best_epoch: int, theme: Theme = LIGHT) -> bytes:
    """Loss on training and validation images, and validation accuracy, by epoch, with a dot at number `best_epoch`.

    Each epoch is {"loss", "validation_loss", "validation_accuracy"}.
    """
    drawn, axes = canvas(theme, 3.2)
    numbers = range(1, len(epochs) + 1)
    axes.plot(numbers, [e["loss"] for e in epochs], color=theme.production, label="loss, training", linewidth=1.4)
    axes.plot(
        numbers, [e["validation_loss"] for e in epochs], color=theme.candidate, label="loss, validation", linewidth=1.8
    )
    axes.plot([best_epoch], [epochs[best_epoch - 1]["validation_loss"]], "o", color=theme.candidate, markersize=6)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("epoch (dot: the best epoch, whose weights are used)")
    axes.set_ylabel("loss")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=theme.faint, linewidth=0.7)
    other = axes.twinx()
    other.plot(
        numbers,
        [100 * e["validation_accuracy"] for e in epochs],
        color=theme.several[2],
        label="accuracy, validation",
        linewidth=1.4,
        linestyle=(0, (4, 2)),
    )
    other.set_ylim(0, 105)
    other.set_ylabel("accuracy in %", color=theme.ink, fontsize=POINTS)
    for side in other.spines.values():
        side.set_visible(False)
    for each in (axes, other):
        each.tick_params(length=0, colors=theme.ink, labelsize=POINTS)
    lines = [*axes.get_lines()[:2], *other.get_lines()]
    axes.legend(
        handles=lines,
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        ncols=3,
        frameon=False,
        labelcolor=theme.ink,
        fontsize=POINTS - 1,
        handlelength=1.5,
        columnspacing=1.2,
    )
    return png(drawn)


def reliability(bins: Sequence[Bin], before: Sequence[Bin], theme: Theme = LIGHT) -> bytes:
    """How often answers were right against how sure they were; `before` is that without temperature scaling, or empty.

    The area of a dot is its number of images.
    """
    drawn, axes = canvas(theme, 3.6)
    axes.plot([0, 100], [0, 100], color=theme.faint, linewidth=1.2, label="perfect calibration")
    for name, own, color, line in (
        ("before scaling", before, theme.production, 1.0),
        ("served", bins, theme.candidate, 1.8),
    ):
        if own:
            x, y = [100 * b.confidence for b in own], [100 * b.accuracy for b in own]
            axes.plot(x, y, color=color, linewidth=line, label=name)
            total = sum(b.images for b in own)
            axes.scatter(x, y, s=[12 + 260 * b.images / total for b in own], color=color, alpha=0.75, linewidths=0)
    axes.set_xlim(0, 104)
    axes.set_ylim(0, 104)
    axes.set_xlabel("confidence in %")
    axes.set_ylabel("accuracy in %")
    axes.grid(color=theme.faint, linewidth=0.5)
    axes.tick_params(length=0)
    axes.legend(loc="upper left", frameon=False, labelcolor=theme.ink, fontsize=POINTS - 1)
    return png(drawn)


def roc(probabilities: np.ndarray, truth: np.ndarray, labels: Sequence[str], theme: Theme = LIGHT) -> bytes:
    """Each class against all others: how many of its images are found for how many false alarms."""
    from sklearn.metrics import roc_curve

    drawn, axes = canvas(theme, 3.6)
    axes.plot([0, 100], [0, 100], color=theme.faint, linewidth=1.2)
    for index, label in enumerate(labels):
        own: Any = truth == index
        if own.any() and not own.all():
            false_alarms, found, _ = roc_curve(own, probabilities[:, index])
            color = theme.several[index % len(theme.several)]
            axes.plot(100 * false_alarms, 100 * found, color=color, linewidth=1.6, label=short(label))
    axes.set_xlim(-1, 101)
    axes.set_ylim(0, 102)
    axes.set_xlabel("false positive rate in %")
    axes.set_ylabel("true positive rate in %")
    axes.grid(color=theme.faint, linewidth=0.5)
    axes.tick_params(length=0)
    if len(labels) <= len(theme.several):
        axes.legend(loc="lower right", frameon=False, labelcolor=theme.ink, fontsize=POINTS - 1)
    return png(drawn)
