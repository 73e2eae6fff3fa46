"""Where a dataset lies: a folder, or a pointer file that says how to come by it."""

import os
import shutil
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from cli.errors import DataRefused, UsageError
from dataset.check import scan
from dataset.model import Dataset
from dataset.phantom import write_sample
from dataset.split import DEFAULT, Split

SAMPLE = "sample"
# Of the sample where no pointer file says otherwise.
IMAGES_PER_CLASS, SEED = 80, 7
MAX_IMAGES_PER_CLASS = 100_000


def open_dataset(uri: str, max_unreadable: float, rules: Sequence[Split] = DEFAULT) -> Dataset:
    """Scans the dataset that `uri` names; see `locate` and `scan` for what is raised."""
    return scan(locate(uri), max_unreadable, rules=rules)


def locate(uri: str) -> Path:
    """The folder of images that `uri` names.

    `uri` is a folder, "sample" for the built-in phantoms, or a pointer file like datasets/sample.toml. The sample is
    drawn once into a cache folder.

    Raises:
        UsageError: a kind of place that is not supported.
        DataRefused: a pointer file that says nothing usable.
    """
    if uri == SAMPLE:
        return _sample(IMAGES_PER_CLASS, SEED)
    if "://" in uri:
        raise UsageError(f"Dataset {uri} is not supported yet; name a folder on this machine.")
    path = Path(uri).expanduser()
    if path.suffix == ".toml" and path.is_file():
        return _sample(*_read_pointer(path))
    return path


def _read_pointer(path: Path) -> tuple[int, int]:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
        images, seed = values["sample"]["images_per_class"], values["sample"]["seed"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise DataRefused(
            f"{path} is not a pointer to a dataset; write images_per_class and seed below [sample]."
        ) from None
    whole = all(isinstance(value, int) and not isinstance(value, bool) for value in (images, seed))
    if not whole or not 1 <= images <= MAX_IMAGES_PER_CLASS or seed < 0:
        raise DataRefused(
            f"{path}: images_per_class must be a whole number from 1 to {MAX_IMAGES_PER_CLASS} and seed one from 0; "
            f"they are {images!r} and {seed!r}."
        )
    return images, seed


def _sample(images_per_class: int, seed: int) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trainyard" / "datasets"
    folder = cache / f"sample-{seed}-{images_per_class}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        # Drawn beside and renamed, so that a killed run leaves no half of a sample behind.
        draft = Path(tempfile.mkdtemp(prefix="drawing-", dir=cache))
        try:
            write_sample(draft, images_per_class, seed)
            draft.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return folder
