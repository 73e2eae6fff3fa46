"""Pointers to a folder of the user's: a small file in Git that says which images there are, so that a push tells of new
ones."""

import json
import os
import shlex
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cli.errors import DataRefused, InfrastructureError
from cli.home import home_expanded
from cli.machine import processors
from contracts.grouping import NONE
from dataset.fingerprint import digest, fingerprint
from dataset.folder import find
from dataset.pool import Progress, in_order

TABLE = "folder"
_POINT = "./pants run src/python/dataset -- point"


@dataclass(frozen=True)
class Promise:
    """What a pointer says of a folder."""

    pointer: Path
    folder: Path
    fingerprint: str
    images: int

    def require(self, fingerprint: str, images: int) -> None:
        """
        Raises:
            DataRefused: the folder holds other images than the pointer says.
        """
        if fingerprint != self.fingerprint:
            raise DataRefused(
                f"{self.folder} holds other images than {self.pointer} says ({images} now, {self.images} when it was "
                f"written); call `{_POINT} {shlex.quote(str(self.pointer))}`, and commit the pointer."
            )


def write_pointer(
    pointer: Path, folder: Path, repository: Path, progress: Progress | None = None, groups: str = NONE
) -> list[str]:
    """Writes or refreshes `pointer` to the images of `folder`; returns what its reader may not expect.

    `groups` is how the models on it tell them, as under [dataset].

    Raises:
        DataRefused: the folder is no dataset.
        InfrastructureError: the file can't be written.
    """
    folder = folder.resolve()
    files = [(label, path) for label, paths in find(folder, groups).items() for path in paths]
    digests = []
    with ThreadPoolExecutor(processors()) as pool:
        for one in in_order(pool, lambda file: _digest(file[1]), files):
            digests.append(one)
            if progress:
                progress(len(digests), len(files))
    inside = folder.is_relative_to(repository.resolve())
    path = os.path.relpath(folder, pointer.resolve().parent) if inside else str(folder)
    named = os.path.relpath(pointer.resolve(), repository.resolve())
    try:
        text = (
            f"# Which images {folder.name} holds. Refresh it after a change, and push: {_POINT} {shlex.quote(named)}\n"
            f"[{TABLE}]\n"
            f"path = {json.dumps(path, ensure_ascii=False)}\n"
            f'fingerprint = "{fingerprint(zip((label for label, _ in files), digests, strict=True))}"\n'
            f"images = {len(files)}\n"
        ).encode()
    except UnicodeEncodeError:
        raise DataRefused(f"The name of {folder} is not UTF-8, so no pointer can hold it; rename it.") from None
    draft = pointer.with_name(f".{pointer.name}.new")
    try:
        pointer.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(text)
        draft.replace(pointer)
    except OSError as error:
        raise InfrastructureError(f"{pointer} can't be written ({error.strerror}); name another file.") from None
    if inside:
        return []
    return [
        f"{folder} is outside the repository: {pointer.name} is of use on this machine alone. For others, keep the "
        "images with DVC or in a bucket (docs/datasets.md)."
    ]


def read_promise(pointer: Path) -> Promise | None:
    """What `pointer` says of a folder; None where it is a pointer of another kind.

    Raises:
        DataRefused: it says nothing usable.
    """
    try:
        values = tomllib.loads(pointer.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return None
    said = values.get(TABLE)
    if not isinstance(said, dict):
        return None
    path, promised, images = said.get("path"), said.get("fingerprint"), said.get("images")
    if not (isinstance(path, str) and path and isinstance(promised, str) and isinstance(images, int)):
        raise DataRefused(
            f"{pointer} lacks path, fingerprint or images below [{TABLE}]; write it again with "
            f"`{_POINT} --dataset DIR {shlex.quote(str(pointer))}`."
        )
    folder = Path(os.path.normpath(pointer.absolute().parent / home_expanded(path)))
    return Promise(pointer, folder, promised, images)


def _digest(path: Path) -> str:
    try:
        return digest(path)
    except OSError as error:
        raise DataRefused(f"{path} can't be read ({error.strerror}); check its permissions.") from None
