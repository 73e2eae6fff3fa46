"""Where a click on a report leads."""

from pathlib import Path
from urllib.parse import quote

_BUCKETS = "gs://"
# Shows an object to whoever is signed in and may see it.
_BUCKETS_IN_BROWSER = "https://storage.cloud.google.com/"


def address(report: str) -> str:
    """An address that a browser opens, for a path of this machine or a gs:// URI."""
    if report.startswith(_BUCKETS):
        return _BUCKETS_IN_BROWSER + quote(report.removeprefix(_BUCKETS))
    return Path(report).absolute().as_uri()


def shown(report: str) -> str:
    """The same to be read: a path stays as it is, as it can be pasted into a shell."""
    return address(report) if report.startswith(_BUCKETS) else report
