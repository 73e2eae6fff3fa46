"""What differs between two versions: commits and images."""

from collections.abc import Mapping

from contracts.verdict import Changed, Commit

__all__ = ["OTHER_IMAGES", "SAME_IMAGES", "Changed", "Commit", "difference"]

SAME_IMAGES = "same images"
OTHER_IMAGES = "as many images of every class, but not the same ones"


def difference(before: Mapping[str, int], now: Mapping[str, int]) -> str:
    """Of two sets of images that are not the same, each given as its number of images per class, in words.

    Counts tell no more than the balance: an image that was exchanged for another one does not show.
    """
    parts = []
    for label in sorted({*before, *now}):
        gained = now.get(label, 0) - before.get(label, 0)
        if gained:
            sign = "+" if gained > 0 else "−"
            parts.append(f"{label} {sign}{abs(gained)} (now {now.get(label, 0)})")
    return ", ".join(parts) or OTHER_IMAGES
