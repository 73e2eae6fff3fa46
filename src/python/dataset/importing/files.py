"""Finds the files that a table names, in whichever way people and programs write a path."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from contracts.classes import in_one_form
from dataset.importing.sources import may_be_image, walk
from dataset.table import parts_of

# Folders before a name, at most, that are not here: those of another machine, or of the archive.
_MOST_LEADING = 12


class Files:
    """What may be images below `root`, by path or file name, with or without its suffix.

    `named` is everything that a table names. Where none of its paths is one below `root`, the same number of leading
    folders is left out of all of them, the first number with which the most are.
    """

    def __init__(self, root: Path, named: Sequence[str]) -> None:
        self._root = root
        self._exact: dict[str, Path] = {}
        # By path without the suffix; by file name, with and without it.
        self._paths: dict[str, list[Path]] = defaultdict(list)
        self._names: dict[str, list[Path]] = defaultdict(list)
        for path in walk(root):
            if may_be_image(path):
                exact = in_one_form(self.name(path))
                self._exact[exact] = path
                self._paths[exact.removesuffix(path.suffix)].append(path)
                for name in {path.name, path.stem}:
                    self._names[in_one_form(name)].append(path)
        self._leading = 0
        paths = [parts for name in named if len(parts := parts_of(name, self._root)) > 1]

        def known(leading: int) -> int:
            left = ("/".join(parts[leading:]) for parts in paths)
            return sum(path in self._exact or path in self._paths for path in left)

        if paths and not known(0):
            self._leading = max(range(_MOST_LEADING), key=known)

    def name(self, path: Path) -> str:
        """How a file is called: by its path below the root."""
        return path.relative_to(self._root).as_posix()

    @property
    def all(self) -> set[Path]:
        return set(self._exact.values())

    def of(self, name: str) -> list[Path]:
        """The files that `name` may mean."""
        parts = parts_of(name, self._root)
        for one in (in_one_form(name), "/".join(parts[min(self._leading, len(parts) - 1) :])):
            if one in self._exact:
                return [self._exact[one]]
            for found in (self._paths, self._names):
                if one in found:
                    return found[one]
        return []
