"""The quickstart's dataset: a first part, and the images that come later."""

import os
import shutil
from pathlib import Path

from dataset import Dataset, LabelledImage, scan, write_sample

_SAMPLE_FIRST, _SAMPLE_LATER, _SAMPLE_SEED = 80, 100, 7
# Share of the user's own images that is held back, to arrive as the change of the dataset.
_LATER_SHARE = 0.15


class GrowingDataset:
    """A folder that starts with most images and later gets the rest; the user's own folder is only read."""

    def __init__(self, folder: Path, source: Path | None, max_unreadable: float) -> None:
        self.folder = folder
        self._source, self._max_unreadable = source, max_unreadable
        self._later: list[LabelledImage] = []

    def begin(self) -> Dataset:
        """Makes the first part.

        Raises:
            DataRefused: the user's folder is no usable dataset.
        """
        if self._source is None:
            write_sample(self.folder, _SAMPLE_FIRST, _SAMPLE_SEED)
        else:
            images = scan(self._source, self._max_unreadable).images
            # By the image's own bytes, from other digits than the split uses: the same images each time.
            late = {image.sha256 for image in images if int(image.sha256[8:16], 16) / 2**32 < _LATER_SHARE}
            self._later = [image for image in images if image.sha256 in late]
            self._take([image for image in images if image.sha256 not in late])
        return scan(self.folder, self._max_unreadable)

    def grow(self) -> Dataset:
        """Adds the images that were held back; returns the whole."""
        if self._source is None:
            write_sample(self.folder, _SAMPLE_LATER, _SAMPLE_SEED, first=_SAMPLE_FIRST + 1)
        else:
            self._take(self._later)
        return scan(self.folder, self._max_unreadable)

    def _take(self, images: list[LabelledImage]) -> None:
        for image in images:
            place = self.folder / image.label / "images"
            place.mkdir(parents=True, exist_ok=True)
            # Two files of one name may come from <class>/ and <class>/images/: the digest keeps them apart.
            target = place / f"{image.path.stem}-{image.sha256[:8]}{image.path.suffix}"
            try:
                os.link(image.path.resolve(), target)
            except OSError:
                shutil.copyfile(image.path, target)
