"""What a scan of a dataset folder finds."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cli.errors import DataRefused
from dataset.split import DEFAULT, SPLITS, Split
from imaging import ImageError
from imaging.array import canonical


@dataclass(frozen=True)
class LabelledImage:
    path: Path
    label: str
    sha256: str  # hexadecimal, of the file's bytes
    split: str  # one of SPLITS


@dataclass(frozen=True)
class Unreadable:
    path: Path
    label: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """A checked dataset. `images` holds every readable image once, sorted by label and digest."""

    root: Path
    labels: list[str]
    images: list[LabelledImage]
    fingerprint: str  # sha256 over the sorted (label, sha256) pairs
    statistics: dict[str, Any]
    unreadable: list[Unreadable] = field(default_factory=list)
    # What the images were split by.
    rules: tuple[Split, ...] = DEFAULT
    _decoded: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def part(self, split: str) -> list[LabelledImage]:
        return [image for image in self.images if image.split == split]

    def counts(self) -> dict[str, int]:
        """Images per label."""
        found = Counter(image.label for image in self.images)
        return {label: found[label] for label in self.labels}

    def lacking(self) -> list[str]:
        """A sentence for each class that has images, but none on one side of the split."""
        counts = {split: Counter(image.label for image in self.part(split)) for split in SPLITS}
        return [
            f"Class '{label}' has {total} images and none of them falls into the {missing[0]} split, which goes by each "
            "image's hash; add images (30 or more of every class)."
            for label, total in self.counts().items()
            if total and (missing := [split for split in SPLITS if not counts[split][label]])
        ]

    def require_every_split(self) -> None:
        """Refuses a dataset too small to train on and judge by.

        Raises:
            DataRefused: some class has no image on one side of the split.
        """
        for sentence in self.lacking():
            raise DataRefused(sentence)

    def arrays(self, split: str, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The pixels uint8 [N, size, size, 1] and label indices int32 [N] of one split; decoded once, then kept.

        Raises:
            DataRefused: a file changed or vanished since it was scanned.
        """

        def decode(image: LabelledImage) -> np.ndarray:
            try:
                return canonical(image.path.read_bytes(), size)
            except (ImageError, OSError) as error:
                raise DataRefused(f"{image.path} changed while it was used ({error}); start again.") from None

        if (split, size) in self._decoded:
            return self._decoded[split, size]
        part = self.part(split)
        pixels = np.empty((len(part), size, size, 1), np.uint8)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for place, picture in enumerate(pool.map(decode, part)):
                pixels[place] = picture
        labels = np.array([self.labels.index(image.label) for image in part], np.int32)
        return self._decoded.setdefault((split, size), (pixels, labels))
