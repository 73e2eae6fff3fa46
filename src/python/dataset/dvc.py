"""Reads what DVC writes: a pointer in Git, the list of files behind it, and where DVC keeps their contents.

DVC itself is a tool of whoever adds images; this reads its files and needs none of its code. A pointer names the MD5 of
a list, the list the MD5 of every file, and both lie in a cache or a remote under their MD5.
"""

import configparser
import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from cli.errors import DataRefused
from dataset.stores import Entry, Store, is_plain, open_store

SUFFIX = ".dvc"
_MD5 = re.compile(r"[0-9a-f]{32}")
_MAX_POINTER_BYTES = 1 << 20


def read_pointer(path: Path) -> str:
    """The MD5 of the list of files that the pointer stands for.

    Raises:
        DataRefused: no pointer to a folder that `dvc add` made.
    """
    import yaml

    try:
        with path.open("rb") as stream:
            values = yaml.safe_load(stream.read(_MAX_POINTER_BYTES))
        (out,) = values["outs"]
        digest = out["md5"]
    except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError):
        digest = None
    except OSError as error:
        raise DataRefused(f"{path} can't be read ({error.strerror}); name a pointer that `dvc add` wrote.") from None
    if not isinstance(digest, str) or not digest.endswith(".dir") or not _MD5.fullmatch(digest.removesuffix(".dir")):
        raise DataRefused(f"{path} is no pointer to a folder; make one with `dvc add FOLDER`.")
    return digest


def stores(pointer: Path) -> list[Store]:
    """Where the contents may be: the checkout's DVC cache, and its default remote.

    Raises:
        DataRefused: the pointer is in no DVC repository, or its remote is of a kind that is not supported.
    """
    root = next((folder for folder in pointer.absolute().parents if (folder / ".dvc" / "config").is_file()), None)
    if root is None:
        raise DataRefused(f"{pointer} lies in no DVC repository; call `dvc init` and `dvc remote add -d NAME PLACE`.")
    config = _config(root / ".dvc")
    cache = config.get("cache", "dir", fallback="cache")
    found = [open_store(cache, root / ".dvc")]
    name = config.get("core", "remote", fallback="")
    if name:
        section = f"'remote \"{name}\"'"
        if not config.has_option(section, "url"):
            raise DataRefused(
                f"{root / '.dvc' / 'config'} names the remote '{name}' but not its url; set it with `dvc remote`."
            )
        found.append(open_store(config.get(section, "url"), root / ".dvc"))
    return found


def keys(md5: str) -> tuple[str, str]:
    """Where DVC 3 keeps the content with this MD5, and where DVC 2 did."""
    return f"files/md5/{md5[:2]}/{md5[2:]}", f"{md5[:2]}/{md5[2:]}"


def parse_list(content: bytes, pointer: Path) -> list[Entry]:
    """
    Raises:
        DataRefused: the list is damaged, or names a place outside of its folder.
    """
    try:
        return list(_entries(json.loads(content)))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataRefused(f"The list of files that {pointer} points to is damaged; `dvc push` it again.") from None


def _entries(values: Any) -> Iterator[Entry]:
    for value in values:
        md5, name = value["md5"], value["relpath"]
        # Whoever can write to the remote wrote this list.
        if not is_plain(name) or not _MD5.fullmatch(md5):
            raise ValueError(name)
        yield Entry(PurePosixPath(name), md5, keys(md5))


def _config(folder: Path) -> configparser.ConfigParser:
    config = configparser.ConfigParser(interpolation=None)
    try:
        # The latter is for this machine alone, and not in Git.
        config.read([folder / "config", folder / "config.local"], "utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise DataRefused(f"{folder / 'config'} can't be read ({error}); fix it with `dvc config`.") from None
    return config
