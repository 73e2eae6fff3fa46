from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imaging.array import encode_png


def png(seed: int) -> bytes:
    return encode_png(np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of 40 images."""
    for number in range(40):
        for place, seed in (("Normal/images", number), ("COVID/images", 100 + number)):
            (tmp_path / "data" / place).mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / place / f"{number}.png").write_bytes(png(seed))
    return tmp_path / "data"


def picture(seed: int, side: int = 96) -> Image.Image:
    """Smooth shapes, as a photograph has them: unlike any of another seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def save(image: Image.Image, path: Path, **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **how)
    return path
