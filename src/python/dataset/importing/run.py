"""One import: from a source to a folder that can be checked and trained on."""

import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from cli.errors import DataRefused, InfrastructureError, UsageError
from cli.machine import processors
from contracts.grouping import MARK
from dataset import groups as grouping
from dataset.folder import File
from dataset.importing.account import Account, Candidate, Progress
from dataset.importing.archive import unpack
from dataset.importing.keys import GroupNames
from dataset.importing.labels import of_table
from dataset.importing.sources import of_folders
from dataset.importing.target import Target
from dataset.pool import in_order
from dataset.table import Table, read_table


@dataclass(frozen=True)
class Wanted:
    """What is imported, and how."""

    source: Path
    target: Path
    group_key: Path
    link: bool = False
    # A CSV of labels; its columns of images, labels and, if any, groups.
    labels: Path | None = None
    image_column: str = ""
    label_column: str = ""
    group_column: str | None = None
    # How groups are told without a CSV (dataset.groups).
    groups: str = ""
    max_conflicts: float = 0.0


def run(wanted: Wanted, progress: Progress) -> Account:
    """Imports; what lies in the target already stays.

    Raises:
        UsageError: options that do not fit, or a column that is not there.
        DataRefused: there is nothing to import, or too many images have several labels.
        InfrastructureError: the target can't be written.
    """
    source, target = wanted.source.resolve(), wanted.target.resolve()
    if not source.exists():
        raise DataRefused(f"{wanted.source.absolute()} does not exist; name a folder or an archive.")
    if target == source or (source.is_dir() and target.is_relative_to(source)) or source.is_relative_to(target):
        raise UsageError(f"{wanted.target} and {wanted.source} lie in each other; name a folder elsewhere with --to.")
    account, names = Account(), GroupNames(wanted.group_key, target)
    unpacked: Path | None = None
    try:
        if source.is_file():
            # Beside the target: from there its files are linked, not copied once more.
            target.parent.mkdir(parents=True, exist_ok=True)
            unpacked = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
            unpack(source, unpacked, account, progress)
        root = unpacked or source
        found = _candidates(root, wanted, account)
        if wanted.groups or wanted.group_column or (target / MARK).exists():
            names.require()
        taker = Target(target, names, wanted.link or unpacked is not None, account)
        with ThreadPoolExecutor(processors()) as pool:
            for done, _ in enumerate(in_order(pool, taker.take, found), start=1):
                progress(done, len(found))
        if account.groups:
            names.require()
    except OSError as error:
        raise InfrastructureError(f"{error.filename or target} can't be used ({error.strerror}).") from None
    finally:
        if unpacked:
            shutil.rmtree(unpacked, ignore_errors=True)
    if not account.images and not account.already:
        first = account.reasons(1)
        why = f" {first[0]['count']} files: {first[0]['reason']}." if first else ""
        raise DataRefused(f"{wanted.source} holds no image that can be imported.{why}")
    return account


def _candidates(root: Path, wanted: Wanted, account: Account) -> Sequence[Candidate]:
    if wanted.labels is None:
        told = grouping.grouping(wanted.groups, root)
        return of_folders(root, told.of, account, wanted.source)
    table = _table(root, wanted.labels)
    image = table.column(wanted.image_column, "--image-column")
    label = table.column(wanted.label_column, "--label-column")
    group = table.column(wanted.group_column, "--group-column") if wanted.group_column else None
    found = of_table(root, table, (image, label, group), wanted.max_conflicts, account, wanted.source)
    if group or not wanted.groups:
        return found
    of = grouping.grouping(wanted.groups, root).of
    return [replace(one, group=of(File(one.path, one.label, one.path.parent.name))) for one in found]


def _table(root: Path, file: Path) -> Table:
    """The CSV: on this machine, or one of that name in the source."""
    inside = sorted(root.rglob(file.name)) if not file.is_file() else []
    return read_table(inside[0] if inside else file)
