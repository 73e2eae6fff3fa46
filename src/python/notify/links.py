"""Where a click on a report leads."""

from urllib.parse import quote

from contracts import location
from contracts.location import InBucket

# Shows an object to whoever is signed in and may see it.
_BUCKETS_IN_BROWSER = "https://storage.cloud.google.com/"


def address(report: str) -> str:
    """An address that a browser opens, for a path of this machine or a gs:// URI."""
    place = location.parse(report, "report")
    if isinstance(place, InBucket):
        return f"{_BUCKETS_IN_BROWSER}{quote(f'{place.bucket}/{place.prefix}')}"
    return place.path.absolute().as_uri()


def shown(report: str) -> str:
    """The same to be read: a path stays as it is, as it can be pasted into a shell."""
    return address(report) if location.is_address(report) else report
