"""A model's own network: its network.py, loaded by path."""

import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from training.networks import beside

_AROUND = "Exception encountered when calling"
_INSIDE = "Error encountered:"
# Colours, and places in a graph that TensorFlow puts before a sentence.
_MARKS = re.compile(r"\x1b\[[0-9;]*m|\{\{[^}]*\}\} ?")


class BadNetwork(ValueError):
    """A model's own network can't be used; the sentence says why."""


def load(file: Path) -> ModuleType:
    """The module in `file`; it may import what stands beside it (`training.networks.beside`).

    Raises:
        BadNetwork: it can't be loaded, or has no function `build`.
    """
    try:
        with without_exit():
            module = beside.load(file)
    # sys.exit() would end the command that loads it, and as if all were well.
    except (Exception, SystemExit) as error:
        raise BadNetwork(f"{file} can't be loaded: {described(error, file)}.") from None
    if not callable(getattr(module, "build", None)):
        raise BadNetwork(f"{file} has no function build(parameters, image, classes); define one.")
    return module


@contextmanager
def without_exit() -> Iterator[None]:
    """Within it os._exit() does what sys.exit() does, so that it is told instead of ending the command as if all were
    well."""
    leave, own = os._exit, os.getpid()

    def told(code: int) -> None:
        if os.getpid() != own:
            leave(code)
        raise SystemExit(f"os._exit({code})")

    os._exit = told  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = leave


def described(error: BaseException, file: Path) -> str:
    """`error`, which code in `file` or beside it raised, in a line that says where."""
    if isinstance(error, SyntaxError):
        where = _where(Path(error.filename or file), error.lineno, file)
        return f"SyntaxError{where}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_beside(frame.filename, file)]
    where = _where(Path(frames[-1].filename), frames[-1].lineno, file) if frames else ""
    text = beside.unfound(error, file) if isinstance(error, ImportError) else sentence(error)
    return f"{type(error).__name__}{where}: {text}".rstrip(":. ")


def _is_beside(name: str, file: Path) -> bool:
    # Of code without a file the name stands in angle brackets.
    return not name.startswith("<") and Path(name).resolve().is_relative_to(file.resolve().parent)


def _where(raised_in: Path, line: int | None, file: Path) -> str:
    if not line:
        return ""
    inside = "" if raised_in.resolve() == file.resolve() else f" of {raised_in.name}"
    return f" in line {line}{inside}"


def sentence(error: BaseException) -> str:
    """The line of `error` that says what is wrong."""
    # Keras puts one above it that names the layer, or several that end so, and lists of arguments below.
    lines = [line.strip() for line in _MARKS.sub("", str(error)).splitlines() if line.strip()]
    above = next((number for number, line in enumerate(lines[:-1]) if line.endswith(_INSIDE)), -1)
    lines = lines[above + 1 :]
    return next((line for line in lines if not line.startswith(_AROUND)), lines[0] if lines else "")
