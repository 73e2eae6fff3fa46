"""Which images belong together, such as those of one patient: they never sit on two sides of the split."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.errors import DataRefused, UsageError
from contracts.classes import in_one_form
from contracts.grouping import CSV, FOLDER, NONE, PATTERN
from dataset.folder import File
from dataset.table import parts_of, read_table

_WAYS = f'"{FOLDER}", "{PATTERN}:REGEX" or "{CSV}:FILE:IMAGE_COLUMN:GROUP_COLUMN"'
# A name that ends like `p01_v2`, `00012_003`, `patient7-lateral`: what stands before may be the patient.
_VIEW = r"^(.*\d.*?)[-_. ]+[A-Za-z]{0,10}[-_ ]?\d{0,4}$"
# Fewer names before the view than this, or so many images of one, are no patients.
_FEWEST, _MOST_OF_ONE = 5, 200
_MIN_SHARE = 0.5


@dataclass(frozen=True)
class Grouping:
    """How groups are told: what stands as `groups` in [dataset]."""

    rule: str
    # The group of a file; "" where none is told.
    of: Callable[[File], str]

    @property
    def by_folder(self) -> bool:
        return self.rule == FOLDER


def grouping(rule: str, root: Path) -> Grouping:
    """What `rule` says of the files of the dataset folder `root`; a CSV's path is relative to that.

    Raises:
        UsageError: it is no such rule, or names a column that is not there.
        DataRefused: the CSV can't be read, or tells two groups of an image.
    """
    kind, _, rest = rule.partition(":")
    if rule == NONE:
        return Grouping(rule, lambda file: "")
    if rule == FOLDER:
        return Grouping(rule, lambda file: file.folder)
    if kind == PATTERN and rest:
        return Grouping(rule, _by_pattern(rest))
    if kind == CSV and rest.count(":") >= 2:
        file, image, group = rest.rsplit(":", 2)
        return Grouping(rule, _by_table(file, image, group, root))
    raise UsageError(f"groups under [dataset] is {rule!r}; write {_WAYS}.")


def suspected(files: Sequence[File]) -> str:
    """The rule that may be missing: a pattern, where most names look like one of several images of somebody.

    The last word of a name, after a separator, is taken for the view, and what stands before for the patient, if a
    digit is in it; "" where names do not look so.
    """
    view = re.compile(_VIEW)
    patients: dict[tuple[str, str], int] = {}
    for file in files:
        if match := view.match(file.path.stem):
            key = file.label, match[1]
            # `COVID-7` names the class.
            if match[1].casefold() != file.label.casefold():
                patients[key] = patients.get(key, 0) + 1
    several = [count for count in patients.values() if count > 1]
    looks_so = (
        len(patients) >= _FEWEST and sum(several) >= _MIN_SHARE * len(files) and max(several, default=0) <= _MOST_OF_ONE
    )
    return f"{PATTERN}:{_VIEW}" if looks_so else ""


def of_pattern(rule: str, file: File) -> str:
    """The group that a rule of the kind `pattern` tells of a file."""
    return _by_pattern(rule.partition(":")[2])(file)


def _by_pattern(text: str) -> Callable[[File], str]:
    try:
        pattern = re.compile(in_one_form(text))
    except re.error as error:
        raise UsageError(
            f"The pattern of groups under [dataset], {text!r}, is no regular expression: {error}."
        ) from None
    if pattern.groups != 1:
        raise UsageError(
            f"The pattern of groups under [dataset], {text!r}, must have one group in round brackets: the part of a "
            f"file's name that names the patient. It has {pattern.groups}."
        )

    def of(file: File) -> str:
        # A Mac may have written the file's name, and not the pattern.
        match = pattern.search(in_one_form(file.path.stem)) or pattern.search(in_one_form(file.path.name))
        return (match[1] or "") if match else ""

    return of


def _by_table(file: str, image_column: str, group_column: str, root: Path) -> Callable[[File], str]:
    table = read_table(root / file)
    image = table.column(image_column, "the images of groups under [dataset]")
    group = table.column(group_column, "the groups under [dataset]")
    told: dict[str, str] = {}
    for row in table.rows:
        name = "/".join(parts_of(row[image], root))
        if told.setdefault(name, row[group]) != row[group]:
            raise DataRefused(f"{table.path} names two groups for {row[image]}; keep the right row.")

    def of(one: File) -> str:
        names = (one.path.relative_to(root).as_posix(), one.path.name, one.path.stem)
        return next((told[name] for name in map(in_one_form, names) if name in told), "")

    return of
