"""Which files a SavedModel folder may hold, and whether its variables are all there."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from inspection.text import few, shown

GRAPH = "saved_model.pb"
INDEX = "variables/variables.index"
DEBUG_INFO = "debug/saved_model_debug_info.pb"
_SHARD = re.compile(r"variables/variables\.data-(\d{5})-of-(\d{5})")
_EXPECTED = re.compile(
    r"saved_model\.pb|fingerprint\.pb|debug/saved_model_debug_info\.pb|variables/variables\.index|assets/.+|assets\.extra/tf_serving_warmup_requests|"
    + _SHARD.pattern,
    re.ASCII | re.DOTALL,
)
MAX_ENTRIES = 1_000  # files and folders; an export has ten
# What a kind of file is known for, by the end of its name.
_KNOWN = {
    (".pkl", ".pickle", ".joblib", ".pt", ".pth"): "is a pickle, which runs code of its own when it is opened",
    (".h5", ".hdf5", ".keras"): "is a Keras file, which may hold Python code, not a SavedModel",
    (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z"): "is an archive, whose content nobody checks",
    (".py", ".pyc", ".so", ".sh", ".dylib", ".dll"): "is a program",
    (".pbtxt", ".cpb"): "is a second form of the graph, which a server may take instead of saved_model.pb",
}
_WAY_OUT = "export the model as a SavedModel and leave everything else out of its folder."


def check(folder: Path) -> tuple[dict[str, int], list[str]]:
    """The expected files, relative path -> size in bytes, and what is wrong with the folder's files."""
    found: dict[str, int] = {}
    reasons: list[str] = []
    try:
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            return {}, [f"{shown(folder.name)} is not a folder; a model is a SavedModel folder: {_WAY_OUT}"]
        entries = _entries(folder)
    except (OSError, ValueError) as error:
        return {}, [f"The model's folder can't be read ({shown(error)}); export the model again."]
    if len(entries) > MAX_ENTRIES:
        return {}, [f"The model's folder holds more than {MAX_ENTRIES} files and folders; {_WAY_OUT}"]
    for name, mode, size in sorted(entries):
        if stat.S_ISDIR(mode):
            continue  # empty ones do no harm, and a bucket has none
        if not stat.S_ISREG(mode):
            kind = "a link" if stat.S_ISLNK(mode) else "a special file"
            reasons.append(f"{shown(name)} is {kind}, not a plain file; put the file itself in its place.")
        elif known := _known(name):  # among the assets as well, where names are free
            reasons.append(f"{shown(name)} {known}; {_WAY_OUT}")
        elif name == DEBUG_INFO and size:
            reasons.append(f"{name} holds {size} bytes, where an export has an empty file; {_WAY_OUT}")
        elif _EXPECTED.fullmatch(name):
            found[name] = size
        else:
            reasons.append(f"{shown(name)} is not part of a SavedModel that we serve; {_WAY_OUT}")
    if not any(name == GRAPH for name, _, _ in entries):
        reasons.append(f"{GRAPH} is missing, so this is no SavedModel; {_WAY_OUT}")
    return found, few(reasons, "files")


def _entries(folder: Path) -> list[tuple[str, int, int]]:
    """(relative path, mode, size) of all that is below `folder`; links are not followed."""
    found: list[tuple[str, int, int]] = []
    waiting = [""]
    while waiting and len(found) <= MAX_ENTRIES:
        prefix = waiting.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                found.append((prefix + entry.name, status.st_mode, status.st_size))
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(prefix + entry.name + "/")
                if len(found) > MAX_ENTRIES:
                    break
    return found


def _known(name: str) -> str:
    for endings, what in _KNOWN.items():
        if name.lower().endswith(endings):
            return what
    return ""


def variables(found: Mapping[str, int], needed: bool) -> list[str]:
    """What is missing of the variables' values in the files `found`."""
    shards = {name: match for name in sorted(found) if (match := _SHARD.fullmatch(name))}
    if not needed and not shards and INDEX not in found:
        return []
    reasons = [] if INDEX in found else [f"{INDEX} is missing, without it no weight is found; export the model again."]
    reasons += [
        f"{name} is empty; copy it whole, or export the model again."
        for name in (INDEX, *shards)
        if found.get(name) == 0
    ]
    totals = {int(match[2]) for match in shards.values()}
    if len(totals) > 1:
        counts = " and ".join(str(total) for total in sorted(totals)[:3])
        return [
            *reasons,
            f"The files of the variables are of several sets, of {counts}; keep one set, or export again.",
        ]
    total = max(totals, default=1)
    present = {int(match[1]) for match in shards.values()}
    missing = [number for number in range(total) if number not in present]
    if missing:
        others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        name = f"variables/variables.data-{missing[0]:05d}-of-{total:05d}"
        reasons.append(
            f"{name}{others} is missing, so weights are missing; copy all of them, or export the model again."
        )
    reasons += [
        f"{name} has a number past the last one; export the model again."
        for name, match in shards.items()
        if int(match[1]) >= total
    ]
    return few(reasons, "files")
