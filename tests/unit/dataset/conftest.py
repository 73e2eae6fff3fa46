from pathlib import Path

import numpy as np
import pytest

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
