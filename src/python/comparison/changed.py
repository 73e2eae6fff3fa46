"""What differs between two versions: commits and images."""

from collections.abc import Mapping
from dataclasses import dataclass

SAME_IMAGES = "same images"
OTHER_IMAGES = "as many images of every class, but not the same ones"


@dataclass(frozen=True)
class Commit:
    # Short.
    hash: str
    author: str
    subject: str


@dataclass(frozen=True)
class Changed:
    """Commits, newest first, and images; what is not known is empty."""

    commits: tuple[Commit, ...] = ()
    # So many commits beyond those listed.
    more: int = 0
    # In words: SAME_IMAGES, or what was added and removed.
    images: str = ""

    def __bool__(self) -> bool:
        return bool(self.commits or self.images)


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
