"""How the user called the program that runs: what usage errors name, so that the line they show can be pasted."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# Under `./pants run` a program lies in a folder of Pants that is gone afterwards.
_SANDBOX = "pants-sandbox-"
_EXAMPLE = re.compile(r"(\./pants run \S+)")


def program_name(
    examples: str, arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ
) -> str | None:
    """The call up to the program's own arguments; None where what Python tells of it is right, as for `python -m`.

    `examples` are those of its --help, whose first one names its target; `arguments` is the interpreter's command line.
    """
    if _is_module(sys.orig_argv if arguments is None else arguments):
        return None
    file = environment.get("PEX", "")
    if not file:
        return None
    if _SANDBOX not in file:
        return os.path.relpath(file) if Path(file).is_relative_to(Path.cwd()) else file
    target = _EXAMPLE.search(examples)
    return f"{target[1]} --" if target else None


def _is_module(arguments: Sequence[str]) -> bool:
    """Whether the interpreter was told to run a module."""
    rest = iter(arguments[1:])
    for argument in rest:
        if argument in ("-W", "-X"):
            next(rest, None)  # their values stand apart
        elif argument == "-m":
            return True
        elif argument == "-c" or not argument.startswith("-"):
            return False
    return False
