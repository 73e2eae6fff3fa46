"""Plots of a verdict, as PNGs that are sharp at 480 CSS pixels: half of their own width."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_INCHES = 5.0  # 480 CSS pixels
_DOTS_PER_INCH = 192
_POINTS = 10
_LONGEST_NAME = 20
# So many letters fit side by side below the confusion matrix.
_LETTERS_BELOW = 46
# Of the latencies; what is slower stands in the last bar, so that one outlier does not flatten the rest.
_SHOWN_SHARE = 0.99
_BARS = 30


@dataclass(frozen=True)
class Theme:
    """Colours, as matplotlib takes them."""

    paper: str
    ink: str
    faint: str
    candidate: str
    production: str
    # Of the confusion matrix: from no image of a class to all of them.
    shades: tuple[str, str]


LIGHT = Theme("#ffffff", "#202124", "#d5d9de", "#1a5fb4", "#9aa3ad", ("#ffffff", "#1a5fb4"))
DARK = Theme("#1d2126", "#e4e7ea", "#3c434b", "#6aa5ee", "#7d8791", ("#1d2126", "#6aa5ee"))


def recall(
    per_class: Mapping[str, Any], baseline: Mapping[str, Any] | None, names: tuple[str, str], theme: Theme = LIGHT
) -> bytes:
    """Recall of each class as bars, production's beside it; `names` is what candidate and production are called."""
    labels, series = list(per_class), [(names[0], per_class, theme.candidate)]
    if baseline:
        series.append((names[1], baseline, theme.production))
    figure, axes = _figure(theme, 0.9 + 0.32 * len(series) * len(labels))
    thick = 0.8 / len(series)
    for i, (name, figures, color) in enumerate(series):
        places = [row + (i - (len(series) - 1) / 2) * thick for row in range(len(labels))]
        values = [100 * figures[label]["recall"] if label in figures else 0.0 for label in labels]
        bars = axes.barh(places, values, thick * 0.92, color=color, label=name)
        texts = [f"{value:.1f}" for value in values]
        behind = {"facecolor": theme.paper, "linewidth": 0, "pad": 1}
        axes.bar_label(bars, texts, padding=5, color=theme.ink, fontsize=_POINTS - 1, bbox=behind)
    axes.set_yticks(range(len(labels)), [_short(label) for label in labels], parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel("recall in %")
    axes.grid(axis="x", color=theme.faint, linewidth=0.7)
    axes.tick_params(length=0)
    if len(series) > 1:
        _legend(axes, theme)
    return _png(figure)


def confusion(confusion: Sequence[Sequence[int]], labels: Sequence[str], theme: Theme = LIGHT) -> bytes:
    """The confusion matrix: counts in the cells, shaded by their share of the row, the true class."""
    from matplotlib.colors import LinearSegmentedColormap

    shares = [[count / max(sum(row), 1) for count in row] for row in confusion]
    figure, axes = _figure(theme, 1.2 + 3.3 * min(1.0, 0.25 * max(len(labels), 1)))
    if confusion:
        shades = LinearSegmentedColormap.from_list("shades", theme.shades)
        axes.imshow(shares, cmap=shades, vmin=0, vmax=1, aspect="auto")
    points = max(4, min(13, 90 / max(len(labels), 1)))
    for y, row in enumerate(confusion):
        for x, count in enumerate(row):
            ink = theme.paper if shares[y][x] > 0.55 else theme.ink
            weight = "bold" if x == y else "normal"
            text = axes.text(x, y, f"{count}", ha="center", va="center", color=ink, fontsize=points, fontweight=weight)
            text.set_in_layout(False)  # it stays inside; measuring thousands takes seconds
    names, size = [_short(label) for label in labels], max(4, min(_POINTS, points))
    axes.set_yticks(range(len(names)), names, parse_math=False, fontsize=size)
    # Below a column a name stands on several lines, or aslant where a single word is too wide.
    width = _LETTERS_BELOW // max(len(names), 1)
    wrapped = ["\n".join(textwrap.wrap(name, max(width, 1), break_long_words=False)) for name in names]
    aslant = any(len(line) > width for name in wrapped for line in name.split("\n"))
    style = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if aslant else {}
    axes.set_xticks(range(len(names)), names if aslant else wrapped, parse_math=False, fontsize=size, **style)
    # Lines between the cells: pale ones would run together.
    axes.set_xticks([n + 0.5 for n in range(len(names) - 1)], minor=True)
    axes.set_yticks([n + 0.5 for n in range(len(names) - 1)], minor=True)
    axes.grid(which="minor", color=theme.faint, linewidth=0.7)
    axes.tick_params(which="both", length=0)
    axes.set_xlabel("answered class")
    axes.set_ylabel("true class")
    return _png(figure)


def latency(
    candidate: Sequence[float], production: Sequence[float], names: tuple[str, str], theme: Theme = LIGHT
) -> bytes:
    """How long answers took, as shares of all requests: the candidate's bars over production's outline."""
    import numpy as np

    both = [*candidate, *production]
    # The width must not be nothing where all took equally long.
    end = max(float(np.quantile(both, _SHOWN_SHARE)), min(both) * 1.1, 1e-3)
    edges = np.linspace(min(both) * 0.9, end, _BARS + 1)
    figure, axes = _figure(theme, 2.6)
    for name, samples, style in (
        (names[0], candidate, {"histtype": "bar", "color": theme.candidate}),
        (names[1], production, {"histtype": "step", "color": theme.ink, "linewidth": 1.3}),
    ):
        if len(samples):
            clipped, share = np.minimum(samples, end), np.full(len(samples), 100 / len(samples))
            axes.hist(clipped, bins=edges, weights=share, label=name, **style)
    axes.set_xlabel("milliseconds to an answer (the last bar: this long and longer)")
    axes.set_ylabel("% of requests")
    axes.grid(axis="y", color=theme.faint, linewidth=0.7)
    axes.tick_params(length=0)
    if len(production):
        _legend(axes, theme)
    return _png(figure)


def _figure(theme: Theme, height: float) -> tuple[Any, Any]:
    # Imported when a plot is drawn: a command's --help must not wait for it. A Figure of its own, not pyplot's: no
    # display is looked for, and threads may draw at the same time.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_INCHES, height), dpi=_DOTS_PER_INCH, facecolor=theme.paper, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor=theme.paper)
    axes.set_axisbelow(True)
    axes.tick_params(colors=theme.ink, labelsize=_POINTS)
    for side in axes.spines.values():
        side.set_visible(False)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=theme.ink, fontsize=_POINTS)
    return figure, axes


def _legend(axes: Any, theme: Theme) -> None:
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, labelcolor=theme.ink, fontsize=_POINTS
    )


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    # Without matplotlib's name and version: the same figures make the same file.
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _short(name: str) -> str:
    """A class name that fits; what has no shape (line breaks, lone surrogates) matplotlib can't draw."""
    drawn = "".join(letter if letter.isprintable() else " " for letter in name)
    return drawn if len(drawn) <= _LONGEST_NAME else drawn[: _LONGEST_NAME - 1] + "…"
