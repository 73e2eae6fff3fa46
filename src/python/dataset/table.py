"""A spreadsheet of images as CSV: what somebody's tool exported."""

import csv
import io
import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cli.errors import DataRefused, UsageError
from cli.home import home_expanded
from contracts.classes import in_one_form

_SEPARATORS = ",;\t"
_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t|])"?\s*?\r?\n', re.IGNORECASE)
_MAX_FIELD_BYTES = 1 << 20


@dataclass(frozen=True)
class Table:
    path: Path
    columns: list[str]
    rows: list[dict[str, str]]

    def column(self, name: str, flag: str) -> str:
        """`name`, if there is such a column; `flag` is what was to say it.

        Raises:
            UsageError: there is none.
        """
        if name not in self.columns:
            raise UsageError(
                f"{self.path} has no column '{name}' for {flag}; its columns are {', '.join(self.columns)}."
            )
        return name


def read_table(path: str | Path) -> Table:
    """The rows of a CSV file with a line of column names; commas, semicolons or tabs separate.

    Raises:
        DataRefused: there is no such file, or it is no CSV.
    """
    file = home_expanded(path)
    try:
        # Spreadsheets put a mark before the first name, which would become a part of it.
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise DataRefused(f"{file.absolute()} can't be read ({error.strerror}); name a CSV file.") from None
    except UnicodeDecodeError:
        raise DataRefused(f"{file} is not UTF-8; save it as 'CSV UTF-8'.") from None
    # With which a spreadsheet is told the separator.
    if told := _SEPARATOR_LINE.match(text):
        text = text[told.end() :]
    text = text.lstrip("\r\n")
    lines = text.splitlines()
    if not lines or "\0" in text:
        raise DataRefused(f"{file} is {'no CSV' if lines else 'empty'}; name a CSV file with a line of column names.")
    separator = told[1] if told else max(_SEPARATORS, key=lines[0].count)
    csv.field_size_limit(_MAX_FIELD_BYTES)
    try:
        # Not `lines`: a text in quotes may hold line breaks.
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        columns = [name.strip() for name in reader.fieldnames or []]
        rows = list(_rows(reader, columns))
    except csv.Error as error:
        raise DataRefused(f"{file} is no CSV ({error} near line {reader.line_num}); export it again.") from None
    if len(set(columns)) < len(columns):
        raise DataRefused(f"{file} has two columns of one name; rename one.")
    return Table(file, columns, rows)


def parts_of(name: str, root: Path) -> list[str]:
    """Folders and file name of an image below `root`, as Windows, a shell or a program that has its whole path writes
    them."""
    text = in_one_form(name).replace("\\", "/")
    if posixpath.isabs(text) and Path(here := os.path.realpath(text)).is_relative_to(os.path.realpath(root)):
        text = os.path.relpath(here, os.path.realpath(root))
    return [part for part in posixpath.normpath(text).split("/") if part]


def _rows(reader: "csv.DictReader[str]", columns: list[str]) -> Iterator[dict[str, str]]:
    reader.fieldnames = columns
    for row in reader:
        # Beyond the last column stand those that a line has too many of; too few are empty.
        yield {name: (row.get(name) or "").strip() for name in columns}
