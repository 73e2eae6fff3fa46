"""Where a registry, a dataset or a file lies: on this machine's disks, or in a bucket of Cloud Storage."""

import re
from dataclasses import dataclass
from pathlib import Path

from cli.errors import UsageError
from cli.home import home_expanded

_SCHEME = "gs://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9_.-]{1,220}[a-z0-9]")  # one with a dot in it is a domain, and may be longer


@dataclass(frozen=True)
class Local:
    """A path of this machine. No other machine reaches it."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class InBucket:
    """What begins with `prefix` in a bucket; the prefix has no slash at its end, and may be empty."""

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.prefix}".removesuffix("/")


Location = Local | InBucket


def parse(text: str, what: str = "location") -> Location:
    """The place that `text` names: a path, where ~ may stand for a home folder, or gs://BUCKET/PREFIX.

    `what` is it in the sentence of an error, as in "registry".

    Raises:
        UsageError: nothing, a bucket that can't have such a name, or another kind of address.
    """
    if not text or "\0" in text:
        raise UsageError(f"The {what} is empty; give a folder, or gs://BUCKET/FOLDER.")
    if text.startswith(_SCHEME):
        bucket, slash, prefix = text.removeprefix(_SCHEME).removesuffix("/").partition("/")
        if not _BUCKET.fullmatch(bucket) or ".." in bucket or (slash and not prefix):
            raise UsageError(f"{text!r} can't be a {what}; write gs://BUCKET or gs://BUCKET/FOLDER.")
        return InBucket(bucket, prefix)
    if is_address(text) or text.startswith("gs:"):
        raise UsageError(f"{text!r} can't be a {what}; give a folder, or gs://BUCKET/FOLDER.")
    return Local(home_expanded(text))


def is_address(text: str) -> bool:
    """Whether `text` is no path: an address of whatever kind, as in gs://BUCKET."""
    return "://" in text


def anchored(text: str, base: Path) -> str:
    """`text` with a path that is relative taken from the folder `base`; an address as it is."""
    return text if is_address(text) else str(base / home_expanded(text))
