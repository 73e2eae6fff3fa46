"""Which images a model learns from and which it is judged by: told from an image's bytes, so no image ever moves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# From the most seen by a model to the least.
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Shares of the images, 0 to 1, that validate and test; the rest is trained on."""

    test: float = 0.20
    validation: float = 0.12
    # How groups are told that stay on one side (dataset.groups); "" where each image is by itself.
    groups: str = ""

    @classmethod
    def of(cls, section: Any) -> "Split":
        """As [dataset] of the settings has it."""
        return cls(section.test_share, section.validation_share, section.groups)

    def side(self, sha256: str) -> str:
        """One of SPLITS for the image, or the group, that has this digest, in hexadecimal."""
        place = int(sha256[:8], 16) / 2**32
        if place < self.test:
            return "test"
        return "validation" if place < self.test + self.validation else "train"


DEFAULT = (Split(),)


def side_of(sha256: str, rules: Sequence[Split]) -> str:
    """The side of an image for a model that was made by `rules`: its own, and those of all its ancestors.

    What any of them trained on is trained on, and what any of them chose its weights by does not test: otherwise a
    change of the shares would let a retrained model be judged on images that its parent learnt by heart.
    """
    return min((rule.side(sha256) for rule in rules), key=SPLITS.index)


def lineage(own: Split, parents: Sequence[Split] = ()) -> tuple[Split, ...]:
    """The rules of a model, its own first, each once."""
    return tuple(dict.fromkeys((own, *parents)))
