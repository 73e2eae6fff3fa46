"""A yard as an earlier version of Trainyard left it, copied to where a test may change it."""

import shutil
from pathlib import Path

MODEL, OWNER = "shapes", "ward@example.org"
_FIXTURE = Path("tests/fixtures/yard_06dacbc")


def old_yard(folder: Path) -> Path:
    """`folder`/yard: trainyard.toml, scans/, registry/, registry.keys/; version 1 in production, version 2 tested."""
    source = next(root / _FIXTURE for root in (Path.cwd(), *Path(__file__).parents) if (root / _FIXTURE).is_dir())
    return Path(shutil.copytree(source, folder / "yard"))


def interrupt(yard: Path) -> None:
    """Makes it a yard in which the promotion of version 2 was killed after servers were told to serve it."""
    model = yard / "registry" / MODEL
    shutil.copytree(model / "testing" / "2", model / "production" / "2")
    shutil.copy(yard / "interrupted" / "promotion.json", model / "promotion.json")
    shutil.copy(yard / "interrupted" / "models.config", model / "production" / "models.config")
