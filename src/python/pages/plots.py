"""What all plots of the pages share: colours for light and dark, sizes, the confusion matrix.

PNGs that are sharp at 480 CSS pixels: half of their own width.
"""

import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pages.page import address

INCHES = 5.0  # 480 CSS pixels
POINTS = 10
_DOTS_PER_INCH = 192
_LONGEST_NAME = 20
# So many letters fit side by side below the confusion matrix.
_LETTERS_BELOW = 46


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
    # Of several classes side by side, told apart by the colour-blind too (Okabe and Ito).
    several: tuple[str, ...]


_SEVERAL = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a8f98")
LIGHT = Theme("#ffffff", "#202124", "#d5d9de", "#1a5fb4", "#9aa3ad", ("#ffffff", "#1a5fb4"), _SEVERAL)
DARK = Theme("#1d2126", "#e4e7ea", "#3c434b", "#6aa5ee", "#7d8791", ("#1d2126", "#6aa5ee"), ("#4aa3df", *_SEVERAL[1:]))


def both(paint: Callable[[Theme], bytes]) -> dict[str, str]:
    """A plot for a light and a dark page, as addresses that hold the picture itself."""
    return {"light": address(paint(LIGHT)), "dark": address(paint(DARK))}


def confusion(confusion: Sequence[Sequence[int]], labels: Sequence[str], theme: Theme = LIGHT) -> bytes:
    """The confusion matrix: counts in the cells, shaded by their share of the row, the true class."""
    from matplotlib.colors import LinearSegmentedColormap

    shares = [[count / max(sum(row), 1) for count in row] for row in confusion]
    figure, axes = canvas(theme, 1.2 + 3.3 * min(1.0, 0.25 * max(len(labels), 1)))
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
    names, size = [short(label) for label in labels], max(4, min(POINTS, points))
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
    return png(figure)


def canvas(theme: Theme, height: float) -> tuple[Any, Any]:
    # Imported when a plot is drawn: a command's --help must not wait for it. A Figure of its own, not pyplot's: no
    # display is looked for, and threads may draw at the same time.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(INCHES, height), dpi=_DOTS_PER_INCH, facecolor=theme.paper, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor=theme.paper)
    axes.set_axisbelow(True)
    axes.tick_params(colors=theme.ink, labelsize=POINTS)
    for side in axes.spines.values():
        side.set_visible(False)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=theme.ink, fontsize=POINTS)
    return figure, axes


def legend(axes: Any, theme: Theme) -> None:
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, labelcolor=theme.ink, fontsize=POINTS)


def png(figure: Any) -> bytes:
    file = io.BytesIO()
    # Without matplotlib's name and version: the same figures make the same file.
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def short(name: str) -> str:
    """A class name that fits; what has no shape (line breaks, lone surrogates) matplotlib can't draw."""
    drawn = "".join(letter if letter.isprintable() else " " for letter in name)
    return drawn if len(drawn) <= _LONGEST_NAME else drawn[: _LONGEST_NAME - 1] + "…"
