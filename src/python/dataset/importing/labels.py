"""Images whose classes stand in a CSV."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from cli.errors import DataRefused
from contracts.classes import in_one_form
from dataset.importing.account import Account, Candidate
from dataset.importing.sources import may_be_image, walk
from dataset.table import Table

_SEVERAL = re.compile(r"\s*[|;]\s*")
SEVERAL = "several labels"


def of_table(
    root: Path, table: Table, columns: tuple[str, str, str | None], max_conflicts: float, account: Account
) -> list[Candidate]:
    """The images below `root` that rows of `table` name, by path, file name or file name without its suffix.

    `columns` are those of the image, the label and, if any, the group.

    Raises:
        DataRefused: no row names a file, or too many images have several labels.
    """
    image, label, group = columns
    told: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in table.rows:
        told[row[image]].append(row)
    several = {name for name, rows in told.items() if len(_labels(rows, label)) > 1}
    if len(several) > max_conflicts * len(told):
        first = next(name for name in told if name in several)
        raise DataRefused(
            f"{len(several)} of {len(told)} images of {table.path} have several labels ({first}: "
            f"{', '.join(_labels(told[first], label))}), more than the {max_conflicts:.1%} allowed. A model tells one "
            "class of an image: give each one label, or leave them out with a higher --max-conflicts."
        )
    files = _by_name(root)
    found: list[Candidate] = []
    named: set[Path] = set()
    for name, rows in told.items():
        for _ in rows[1:]:
            account.leave_out(f"a further row of the same image in {table.path.name}", name)
        paths = files.get(name, [])
        named |= set(paths)
        if name in several:
            account.leave_out(SEVERAL, name)
        elif not name:
            account.leave_out(f"a row of {table.path.name} without an image", "")
        elif not paths:
            account.leave_out(f"named in {table.path.name} and not found below {root}", name)
        elif len(paths) > 1:
            account.leave_out("several files of that name", name)
        else:
            (own,) = _labels(rows, label) or [""]
            where = paths[0].relative_to(root).as_posix()
            found.append(Candidate(paths[0], where, in_one_form(own), rows[0][group] if group else ""))
    for path in sorted({path for paths in files.values() for path in paths} - named):
        account.leave_out(f"not named in {table.path.name}", path.relative_to(root).as_posix())
    if not found:
        raise DataRefused(
            f"No row of {table.path} names an image below {root} in column '{image}'; name the folder that holds them, "
            "or another column."
        )
    return found


def _labels(rows: Sequence[dict[str, str]], label: str) -> list[str]:
    """The different labels of one image, in their order: "Effusion|Mass" are two."""
    return list(dict.fromkeys(one for row in rows for one in _SEVERAL.split(row[label]) if one))


def _by_name(root: Path) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = defaultdict(list)
    for path in walk(root):
        if may_be_image(path):
            for name in {path.relative_to(root).as_posix(), path.name, path.stem}:
                files[name].append(path)
    return files
