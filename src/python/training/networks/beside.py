"""A model's folder as a package: its network.py may import the files beside it, as in `from . import blocks`.

The package has a name that nothing imports, another one for each folder: a model may be called like any package, and
two models may each have a blocks.py.
"""

import hashlib
import re
import sys
from collections.abc import Sequence
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

_PREFIX = "_model_"
# Model tests stand in the same folder, and are no part of the network.
_TESTS = "tests"
_NO_NAME = re.compile(r"cannot import name '(?P<name>[^']+)'")
_SHARED = (
    "a network imports files of its own folder alone; what several models share is a family in "
    "src/python/training/networks (docs/training.md)"
)


def load(file: Path) -> ModuleType:
    """The module in `file`, and what it imports of its folder; both are read anew.

    Raises whatever the code in them raises.
    """
    package = _name(file)
    _forget(package)
    if _Finder not in sys.meta_path:
        # Before the usual finder, which would take a cache for the file and leave one beside it.
        sys.meta_path.insert(0, _Finder)
    around = ModuleType(package)
    around.__path__ = [str(file.parent)]
    sys.modules[package] = around
    name = f"{package}.{file.stem}"
    # By its file: a folder of that name beside it would come first.
    spec = spec_from_file_location(name, file, loader=_Source(name, str(file)))
    assert spec and spec.loader
    module = module_from_spec(spec)
    # dataclasses look a class' module up by its name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        _forget(package)
        raise
    return module


def sources(file: Path) -> list[Path]:
    """What a network may be written in: all Python files of the folder of `file`, but for tests."""
    folder = file.parent
    return [path for path in sorted(folder.rglob("*.py")) if path.relative_to(folder).parts[0] != _TESTS]


def unfound(error: ImportError, file: Path) -> str:
    """What an import in the folder of `file` did not find, and the way out."""
    text, wanted = str(error), error.name or ""
    if "beyond top-level package" in text or wanted.startswith("models."):
        return _SHARED
    package = _name(file)
    if wanted == package or wanted.startswith(f"{package}."):
        if isinstance(error, ModuleNotFoundError):
            return _no_file(wanted.removeprefix(f"{package}."), file)
        if wanted == package and (found := _NO_NAME.search(text)):
            return _no_file(found["name"], file)
        return text.replace(f"{package}.", "")
    top = wanted.partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and (
        (file.parent / f"{top}.py").is_file() or (file.parent / top).is_dir()
    ):
        return f"{top} stands beside it, so write `from . import {top}`, or `from .{wanted} import …`"
    if isinstance(error, ModuleNotFoundError):
        return f"{text}; a package of PyPI is added to 3rdparty/python/ml.txt (CONTRIBUTING.md)"
    return text


class _Source(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        # Without a cache, which would be left beside the file, and may be taken for it when it is an old one.
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Finder:
    """Finds modules of models' folders, and no others."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not name.startswith(_PREFIX):
            return None
        specs = (FileFinder(place, (_Source, [".py"])).find_spec(name) for place in path or ())
        return next((spec for spec in specs if spec), None)


def _name(file: Path) -> str:
    return f"{_PREFIX}{hashlib.sha256(str(file.resolve().parent).encode()).hexdigest()[:16]}"


def _forget(package: str) -> None:
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]


def _no_file(module: str, file: Path) -> str:
    return f"there is no {module.replace('.', '/')}.py in {file.parent}"
