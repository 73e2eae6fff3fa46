"""Images whose classes stand in a CSV."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from cli.errors import DataRefused
from contracts.classes import in_one_form
from dataset.importing.account import Account, Candidate
from dataset.importing.files import Files
from dataset.table import Table

_SEVERAL = re.compile(r"\s*[|;]\s*")
SEVERAL = "several labels"


def of_table(
    root: Path,
    table: Table,
    columns: tuple[str, str, str | None],
    max_conflicts: float,
    account: Account,
    source: Path,
) -> list[Candidate]:
    """The images below `root` that rows of `table` name, by path or file name, with or without its suffix.

    `columns` are those of the image, the label and, if any, the group. `source` is how people know `root`: an archive,
    of which that is the content.

    Raises:
        DataRefused: no row names a file, too many images have several labels, or one has two groups.
    """
    image, label, group = columns
    files = Files(root, [row[image] for row in table.rows])
    told: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in table.rows:
        # Two ways to write one file's name are rows of one image.
        paths = files.of(row[image])
        told[files.name(paths[0]) if len(paths) == 1 else row[image]].append(row)
    several = {name for name, rows in told.items() if len(_labels(rows, label)) > 1}
    if len(several) > max_conflicts * len(told):
        first = next(name for name in told if name in several)
        raise DataRefused(
            f"{len(several)} of {len(told)} images of {table.path} have several labels ({first}: "
            f"{', '.join(_labels(told[first], label))}), more than the {max_conflicts:.1%} allowed. A model tells one "
            "class of an image: give each one label, or leave them out with a higher --max-conflicts."
        )
    found: list[Candidate] = []
    named: set[Path] = set()
    for name, rows in told.items():
        for _ in rows[1:]:
            account.leave_out(f"a further row of the same image in {table.path.name}", name)
        paths = files.of(name)
        named |= set(paths)
        if name in several:
            account.leave_out(SEVERAL, name)
        elif not name:
            account.leave_out(f"a row of {table.path.name} without an image", "")
        elif not paths:
            account.leave_out(f"named in {table.path.name} and not found below {source}", name)
        elif len(paths) > 1:
            account.leave_out("several files of that name", name)
        else:
            (own,) = _labels(rows, label) or [""]
            groups = list(dict.fromkeys(row[group] for row in rows)) if group else [""]
            if len(groups) > 1:
                raise DataRefused(f"{table.path} names two groups for {name}; keep the right row.")
            found.append(Candidate(paths[0], files.name(paths[0]), in_one_form(own), groups[0]))
    for path in sorted(files.all - named):
        account.leave_out(f"not named in {table.path.name}", files.name(path))
    if not found:
        raise DataRefused(
            f"No row of {table.path} names an image below {source} in column '{image}'"
            + (f" (the first says {table.rows[0][image]!r})" if table.rows else "")
            + "; name the folder that holds them, or another column."
        )
    return found


def _labels(rows: Sequence[dict[str, str]], label: str) -> list[str]:
    """The different labels of one image, in their order: "Effusion|Mass" are two."""
    return list(dict.fromkeys(one for row in rows for one in _SEVERAL.split(row[label]) if one))
