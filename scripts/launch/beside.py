"""Imports of what stands beside a model's network or test, as they can't be: Pants' own error names no way out."""

import re
from collections.abc import Iterator
from pathlib import Path

_IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+(\w+)", re.MULTILINE)


def notes(root: Path = Path()) -> Iterator[str]:
    """A line for each such import in the folders of models below `root`."""
    for file in sorted(root.glob("models/*/**/*.py")):
        text = file.read_text("utf-8", "replace")
        for found in _IMPORT.finditer(text):
            name = found[1]
            if (file.parent / f"{name}.py").is_file():
                line = text.count("\n", 0, found.start(1)) + 1
                way = f"write `from . import {name}`, or `from .{name} import …`"
                if "tests" in file.parts:
                    way = "what tests share are fixtures of a conftest.py beside them"
                yield f"note: {file} (line {line}) imports {name}, which stands beside it: {way}."
