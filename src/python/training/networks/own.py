"""A model's own network: its network.py, loaded by path."""

import hashlib
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType

_AROUND = "Exception encountered when calling"
_INSIDE = "Error encountered:"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class BadNetwork(ValueError):
    """A model's own network can't be used; the sentence says why."""


def load(file: Path) -> ModuleType:
    """The module in `file`, under a name that nothing imports: models may be called like any package.

    Raises:
        BadNetwork: it can't be loaded, or has no function `build`.
    """
    name = f"_network_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:16]}"
    module = ModuleType(name)
    module.__file__ = str(file)
    # dataclasses look a class' module up by its name.
    sys.modules[name] = module
    try:
        # Not by an importer: it would leave a cache beside the file, and might take an old one for it.
        exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)
    # sys.exit() would end the command that loads it, and as if all were well.
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise BadNetwork(f"{file} can't be loaded: {described(error, file)}.") from None
    if not callable(getattr(module, "build", None)):
        raise BadNetwork(f"{file} has no function build(parameters, image, classes); define one.")
    return module


def described(error: BaseException, file: Path) -> str:
    """`error`, which code in `file` raised, in a line that says where."""
    if isinstance(error, SyntaxError):
        return f"SyntaxError{f' in line {error.lineno}' if error.lineno else ''}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    where = f" in line {lines[-1]}" if lines else ""
    return f"{type(error).__name__}{where}: {sentence(error)}".rstrip(":. ")


def sentence(error: BaseException) -> str:
    """The line of `error` that says what is wrong."""
    # Keras puts one above it that names the layer, or several that end so, and lists of arguments below.
    lines = [line.strip() for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
    above = next((number for number, line in enumerate(lines[:-1]) if line.endswith(_INSIDE)), -1)
    lines = lines[above + 1 :]
    return next((line for line in lines if not line.startswith(_AROUND)), lines[0] if lines else "")
