"""Where a dataset lies: a folder, or a pointer file that says how to come by it."""

import hashlib
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cli.errors import DataRefused
from cli.home import home_expanded
from contracts import location
from contracts.location import InBucket
from dataset import digits, dvc, point, stores
from dataset.check import Checked, Limits, check, scan
from dataset.model import Dataset
from dataset.phantom import write_sample
from dataset.pool import Progress
from dataset.skew import Previous
from dataset.split import DEFAULT, Split

SAMPLE, DIGITS = "sample", "digits"
# Of the sample where no pointer file says otherwise.
IMAGES_PER_CLASS, SEED = 80, 7
MAX_IMAGES_PER_CLASS = 100_000


def open_dataset(uri: str, max_unreadable: float, rules: Sequence[Split] = DEFAULT, **terms: Any) -> Dataset:
    """Scans the dataset that `uri` names; see `locate` and `scan` for what more may be said, and what is raised."""
    return scan(locate(uri), max_unreadable, rules=rules, promise=promise(uri), **terms)


def examine(
    uri: str,
    limits: Limits,
    previous: Previous | None = None,
    progress: Progress | None = None,
    rules: Sequence[Split] = DEFAULT,
    **terms: Any,
) -> Checked:
    """Checks the dataset that `uri` names; see `locate` and `check` for what more may be said, and what is raised."""
    return check(locate(uri, progress), limits, previous, progress, rules, promise=promise(uri), **terms)


def promise(uri: str) -> point.Promise | None:
    """What the pointer `uri` says of a folder; None where it is no such pointer.

    Raises:
        DataRefused: the pointer says nothing usable.
    """
    if location.is_address(uri) or not uri.endswith(".toml"):
        return None
    return point.read_promise(home_expanded(uri))


def locate(uri: str, progress: Progress | None = None) -> Path:
    """The folder of images that `uri` names.

    `uri` is a folder, "sample" for the built-in phantoms, "digits" for scikit-learn's handwritten digits, a pointer
    file like datasets/sample.toml, one of DVC's, or gs://BUCKET/PATH. What is built in is written, and what lies
    elsewhere fetched, once into a cache folder; `progress` hears of (files fetched, files in all).

    Raises:
        UsageError: a kind of place that is not supported.
        DataRefused: a pointer file that says nothing usable, or files that are not where they should be.
        InfrastructureError: the place can't be reached.
    """
    if uri == SAMPLE:
        return _sample(IMAGES_PER_CLASS, SEED)
    if uri == DIGITS:
        return _digits(digits.IMAGES)
    place = location.parse(uri, "dataset")
    if isinstance(place, InBucket):
        bucket = stores.CloudStore(place)
        return _fetched_as_listed(bucket, bucket.entries(), progress)
    path = place.path
    if path.suffix == dvc.SUFFIX and not path.is_dir():
        return _pointed_to(path, progress)
    if path.suffix == ".toml" and path.is_file():
        promised = point.read_promise(path)
        return promised.folder if promised else _built_in(path)
    return path


def is_here(uri: str) -> bool:
    """Whether `locate` fetches nothing for it."""
    return not location.is_address(uri) and not uri.endswith(dvc.SUFFIX)


def _pointed_to(pointer: Path, progress: Progress | None) -> Path:
    """The files behind a pointer of DVC."""
    listed = dvc.read_pointer(pointer)
    name = f"dvc-{listed.removesuffix('.dir')}"
    if (folder := stores.cache() / name).is_dir():
        return folder
    places = dvc.stores(pointer)
    content = stores.content(dvc.keys(listed), listed, places, f"The list of files of {pointer}")
    return stores.fetch(name, dvc.parse_list(content, pointer), places, progress)


def _fetched_as_listed(bucket: stores.CloudStore, entries: list[stores.Entry], progress: Progress | None) -> Path:
    """The objects of a bucket as they are now: another folder when one changes."""
    lines = sorted(f"{entry.path}\0{entry.md5}\n" for entry in entries)
    digest = hashlib.md5("".join(lines).encode(), usedforsecurity=False).hexdigest()
    return stores.fetch(f"gs-{digest}", entries, [bucket], progress)


def _built_in(path: Path) -> Path:
    """What a pointer file asks to be written."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
        kind = next(kind for kind in (SAMPLE, DIGITS) if isinstance(values.get(kind), dict))
        asked = values[kind]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, StopIteration):
        raise DataRefused(
            f"{path} is not a pointer to a dataset; write images_per_class and seed below [{SAMPLE}], or [{DIGITS}], "
            "or let `./pants run src/python/dataset -- point` write one to a folder."
        ) from None
    if kind == DIGITS:
        images = _whole(path, asked, "images", 1, digits.IMAGES, digits.IMAGES)
        return _digits(images)
    return _sample(
        _whole(path, asked, "images_per_class", 1, MAX_IMAGES_PER_CLASS), _whole(path, asked, "seed", 0, None)
    )


def _whole(
    path: Path, asked: dict[str, object], key: str, least: int, most: int | None, usual: int | None = None
) -> int:
    value = asked.get(key, usual)
    if not isinstance(value, int) or isinstance(value, bool) or value < least or (most is not None and value > most):
        bounds = f"from {least}" + (f" to {most}" if most is not None else " on")
        raise DataRefused(f"{path}: {key} must be a whole number {bounds}. Received: {value!r}.")
    return value


def _sample(images_per_class: int, seed: int) -> Path:
    return _written(f"sample-{seed}-{images_per_class}", lambda folder: write_sample(folder, images_per_class, seed))


def _digits(images: int) -> Path:
    return _written(f"digits-{images}", lambda folder: digits.write_digits(folder, images))


def _written(name: str, write: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, filled by `write` if it is not there yet."""
    cache = stores.cache()
    folder = cache / name
    if not folder.is_dir():
        # Written beside and renamed, so that a killed run leaves no half of a dataset behind.
        draft = Path(tempfile.mkdtemp(prefix="drawing-", dir=cache))
        try:
            write(draft)
            draft.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return folder
