"""Plots of a verdict, as PNGs that are sharp at 480 CSS pixels: half of their own width."""

from collections.abc import Mapping, Sequence

from pages.plots import DARK, LIGHT, POINTS, Theme, canvas, confusion, legend, png, short

__all__ = ["DARK", "LIGHT", "Theme", "confusion", "latency", "recall"]

# Of the latencies; what is slower stands in the last bar, so that one outlier does not flatten the rest.
_SHOWN_SHARE = 0.99
_BARS = 30


def recall(
    per_class: Mapping[str, float], baseline: Mapping[str, float] | None, names: tuple[str, str], theme: Theme = LIGHT
) -> bytes:
    """Recall of each class (0 to 1) as bars, production's beside it; `names` are what the two versions are called."""
    labels, series = list(per_class), [(names[0], per_class, theme.candidate)]
    if baseline:
        series.append((names[1], baseline, theme.production))
    figure, axes = canvas(theme, 0.9 + 0.32 * len(series) * len(labels))
    thick = 0.8 / len(series)
    for i, (name, figures, color) in enumerate(series):
        places = [row + (i - (len(series) - 1) / 2) * thick for row in range(len(labels))]
        values = [100 * figures.get(label, 0.0) for label in labels]
        bars = axes.barh(places, values, thick * 0.92, color=color, label=name)
        texts = [f"{value:.1f}" for value in values]
        behind = {"facecolor": theme.paper, "linewidth": 0, "pad": 1}
        axes.bar_label(bars, texts, padding=5, color=theme.ink, fontsize=POINTS - 1, bbox=behind)
    axes.set_yticks(range(len(labels)), [short(label) for label in labels], parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel("recall in %")
    axes.grid(axis="x", color=theme.faint, linewidth=0.7)
    axes.tick_params(length=0)
    if len(series) > 1:
        legend(axes, theme)
    return png(figure)


def latency(
    candidate: Sequence[float], production: Sequence[float], names: tuple[str, str], theme: Theme = LIGHT
) -> bytes:
    """How long answers took, as shares of all requests: the candidate's bars over production's outline."""
    import numpy as np

    both = [*candidate, *production]
    # The width must not be nothing where all took equally long.
    end = max(float(np.quantile(both, _SHOWN_SHARE)), min(both) * 1.1, 1e-3)
    edges = np.linspace(min(both) * 0.9, end, _BARS + 1)
    figure, axes = canvas(theme, 2.6)
    for name, samples, style in (
        (names[0], candidate, {"histtype": "bar", "color": theme.candidate}),
        (names[1], production, {"histtype": "step", "color": theme.ink, "linewidth": 1.3}),
    ):
        if len(samples):
            clipped, share = np.minimum(samples, end), np.full(len(samples), 100 / len(samples))
            axes.hist(clipped, bins=edges, weights=share, label=name, **style)
    axes.set_xlabel("response time in ms (the last bar: this long and longer)")
    axes.set_ylabel("% of requests")
    axes.grid(axis="y", color=theme.faint, linewidth=0.7)
    axes.tick_params(length=0)
    if len(production):
        legend(axes, theme)
    return png(figure)
