"""What a scan of a dataset folder finds."""

import hashlib
import math
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cli.errors import DataRefused, InfrastructureError
from cli.machine import processors
from cli.text import counted
from contracts.classes import name_among, same_classes
from contracts.record import DatasetUsed, SplitRule
from dataset.fingerprint import fingerprint
from dataset.sides import Sides
from dataset.split import DEFAULT, SPLITS, Split
from imaging import CorruptImage, ImageError, ImageInput
from imaging.array import canonical

MAX_BYTES_IN_MEMORY = 1 << 30  # of one split's pixels
_PORTION = 256  # images
LEAST = 30  # images of a class: by so many each side of the split has some, save in one of fifty classes


@dataclass(frozen=True, slots=True)
class LabelledImage:
    path: Path
    label: str
    sha256: str  # hexadecimal, of the file's bytes
    split: str  # one of SPLITS
    side: float = 0.0  # pixels; of an oblong image that of the square with as many
    brightness: float = 0.0  # mean gray level, 0 to 255
    group: int = -1  # number of the group it belongs to, such as one patient's images; -1 where it is told of none


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
    # What a later version has to fit in with.
    sides: Sides = field(default_factory=Sides, compare=False)
    _decoded: dict[tuple[str, ImageInput], tuple[np.ndarray, np.ndarray]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def grouping(self) -> str:
        """How groups are told (dataset.groups); "" where they are not."""
        return self.rules[0].groups

    def part(self, split: str) -> list[LabelledImage]:
        return [image for image in self.images if image.split == split]

    def groups(self, split: str) -> list[int] | None:
        """Of each image of one split the number of its group, for who must not take images of one patient for several
        patients'; None where no groups are told."""
        return [image.group for image in self.part(split)] if self.grouping else None

    @property
    def held_out(self) -> str:
        """One value for the images that judge a model: sha256 over their classes and digests, in hexadecimal."""
        return fingerprint((image.label, image.sha256) for image in self.part("test"))

    def used(self, uri: str) -> DatasetUsed:
        """What a record keeps of this dataset, which was found at `uri`."""
        return DatasetUsed(
            uri=uri,
            fingerprint=self.fingerprint,
            images=len(self.images),
            classes=self.counts(),
            statistics=self.statistics,
            splits=[SplitRule(test=r.test, validation=r.validation, groups=r.groups) for r in self.rules],
            groups=self.grouping,
        )

    def counts(self) -> dict[str, int]:
        """Images per label."""
        found = Counter(image.label for image in self.images)
        return {label: found[label] for label in self.labels}

    def named_as(self, labels: Sequence[str]) -> "Dataset":
        """The same images, with the classes in the order of `labels` and called as there.

        Raises:
            ValueError: `labels` are other classes.
        """
        if not same_classes(self.labels, labels):
            raise ValueError(f"Expected the classes {', '.join(self.labels)}. Received: {', '.join(labels)}")
        if self.labels == list(labels):
            return self
        called = {label: name_among(label, labels) for label in self.labels}
        images = [replace(image, label=called[image.label]) for image in self.images]
        return replace(self, labels=list(labels), images=images)

    def lacking(self) -> list[str]:
        """A sentence for each class that has images, but none on one side of the split."""
        counts = {split: Counter(image.label for image in self.part(split)) for split in SPLITS}
        return [
            f"Class '{label}' has {counted(total, 'image')} and none of them falls into the {missing[0]} split, which "
            f"goes by each {'group' if self.grouping else 'image'}'s hash; {self._way_out(missing[0], total)}."
            for label, total in self.counts().items()
            if total and (missing := [split for split in SPLITS if not counts[split][label]])
        ]

    def _way_out(self, split: str, images: int) -> str:
        if images < LEAST:
            return f"add images ({LEAST} or more of every class)"
        share = {"validation": "validation_share", "test": "test_share"}.get(split)
        return "add some images" + (f", or raise {share} under [dataset] of trainyard.toml" if share else "")

    def require_every_split(self) -> None:
        """Refuses a dataset too small to train on and judge by.

        Raises:
            DataRefused: some class has no image on one side of the split.
        """
        for sentence in self.lacking():
            raise DataRefused(sentence)

    def arrays(self, split: str, wanted: ImageInput | int) -> tuple[np.ndarray, np.ndarray]:
        """The pixels uint8 [N, size, size, channels] and label indices int32 [N] of one split, as a model wants them;
        decoded once, then held: in memory or, past a limit, in a file of the temporary folder that goes with the
        process.

        Raises:
            DataRefused: a file changed or vanished since it was scanned.
        """

        def decode(image: LabelledImage) -> np.ndarray:
            try:
                data = image.path.read_bytes()
                # Another image may belong to another side of the split.
                if hashlib.sha256(data).hexdigest() != image.sha256:
                    raise CorruptImage("it is another file now")
                return canonical(data, wanted)
            except (ImageError, OSError) as error:
                raise DataRefused(f"{image.path} changed while it was used ({error}); start again.") from None

        wanted = ImageInput.of(wanted)
        if (split, wanted) in self._decoded:
            return self._decoded[split, wanted]
        part = self.part(split)
        pixels = _room((len(part), *wanted.shape))
        with ThreadPoolExecutor(processors()) as pool:
            # In portions: what is decoded ahead would otherwise be kept a second time.
            for start in range(0, len(part), _PORTION):
                for place, picture in enumerate(pool.map(decode, part[start : start + _PORTION]), start):
                    pixels[place] = picture
        labels = np.array([self.labels.index(image.label) for image in part], np.int32)
        return self._decoded.setdefault((split, wanted), (pixels, labels))


def _room(shape: tuple[int, ...]) -> np.ndarray:
    """An array uint8 of `shape` for pixels.

    Raises:
        InfrastructureError: it belongs on disk, which is full.
    """
    if math.prod(shape) <= MAX_BYTES_IN_MEMORY:
        return np.empty(shape, np.uint8)
    try:
        with tempfile.TemporaryFile(prefix="trainyard-pixels-") as file:
            # All of it now: a mapped file on a full disk would end the process at some later write. macOS can't.
            allocate = getattr(os, "posix_fallocate", lambda descriptor, start, length: os.truncate(descriptor, length))
            allocate(file.fileno(), 0, math.prod(shape))
            return np.memmap(file, np.uint8, "r+", shape=shape)
    except OSError as error:
        raise InfrastructureError(
            f"There is no room for {math.prod(shape) >> 20} MiB of decoded images in {tempfile.gettempdir()} "
            f"({error.strerror}); make some, or set TMPDIR to a folder on another disk."
        ) from None
