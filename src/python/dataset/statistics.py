"""Figures of a dataset's images that are kept with a model, so that the next dataset can be held against them."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from dataset.read import Read

# Of sizes and formats so many are named, the most frequent first; real collections have thousands of sizes.
_NAMED = 12
MEASURES = ("brightness", "contrast", "bytes", "side")


def statistics(labels: Sequence[str], reads: Sequence[Read]) -> dict[str, Any]:
    """Per class mean and deviation of each of MEASURES, and how often each format and size occurs. JSON-able."""
    by_class = {label: [read for read in reads if read.label == label] for label in labels}
    return {
        **{
            measure: {label: _summary(getattr(read.facts, measure) for read in own) for label, own in by_class.items()}
            for measure in MEASURES
        },
        "formats": dict(Counter(read.facts.kind for read in reads).most_common(_NAMED)),
        "sizes": dict(Counter(f"{read.facts.width}x{read.facts.height}" for read in reads).most_common(_NAMED)),
    }


def _summary(values: Iterable[float]) -> dict[str, float]:
    own = list(values)
    mean = math.fsum(own) / max(len(own), 1)
    variance = math.fsum((value - mean) ** 2 for value in own) / max(len(own), 1)
    return {"mean": round(mean, 3), "deviation": round(math.sqrt(variance), 3)}


def told_by_the_file(reads: Sequence[Read]) -> tuple[float, float]:
    """How often size and format alone, without a pixel, tell the class; and how often the largest class is right.

    Each image is guessed from the others of its size and format. A model may learn the first instead of lungs.
    """
    groups: dict[tuple[str, int, int], Counter[str]] = {}
    for read in reads:
        facts = read.facts
        groups.setdefault((facts.kind, facts.width, facts.height), Counter())[read.label] += 1
    right = 0
    for counts in groups.values():
        for label, count in counts.items():
            others = {name: other for name, other in counts.items() if name != label}
            # An image of the only one of its kind is never guessed.
            right += count * (count - 1 > max(others.values(), default=0))
    largest = max(Counter(read.label for read in reads).values(), default=0)
    return right / max(len(reads), 1), largest / max(len(reads), 1)
