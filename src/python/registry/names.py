"""Names that become paths, checked before anything is read or made.

Only plain ASCII gets through: no separators, no leading dot, nothing that looks like another name.
"""

import re

from registry.errors import BadName

_MODEL = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")  # stays within the int64 of TensorFlow Serving
_SEGMENT = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9 ._+-]{0,198}[A-Za-z0-9_+-])?")


def check_model(name: str) -> str:
    """The name itself, if it may be a folder, a bucket prefix and a URL path."""
    if not _MODEL.fullmatch(name):
        raise BadName(f"{name!r} can't be a model's name; use up to 63 lower-case letters, digits and '-'.")
    return name


def check_version(version: int | str) -> int:
    """A version as an integer: positive, and without leading zeros when given as text."""
    if isinstance(version, bool) or not _VERSION.fullmatch(str(version)):
        raise BadName(f"{version!r} is not a version; versions are whole numbers from 1 up, without leading zeros.")
    return int(version)


def is_version(text: str) -> bool:
    return _VERSION.fullmatch(text) is not None


def check_key(key: str) -> str:
    """The key itself, if each part between slashes is a plain file name."""
    if len(key) > 900 or not all(_SEGMENT.fullmatch(part) for part in key.split("/")):
        raise BadName(
            f"{key!r} can't be a name in the registry; use letters, digits, '_', '-', '+', '.' and spaces, "
            "not starting with a dot."
        )
    return key
