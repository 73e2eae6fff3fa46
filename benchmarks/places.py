"""Places for registries of both kinds, made anew."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testkit import buckets
from testkit.storage import KINDS, Place


@contextmanager
def places(only: str | None) -> Iterator[list[tuple[Place, buckets.Proxy]]]:
    """A place of each kind, or of one, and the proxy before the server that the bucket's requests go through."""
    with (
        tempfile.TemporaryDirectory(prefix="trainyard-benchmark-") as folder,
        buckets.emulator() as address,
        buckets.proxy(address) as proxy,
    ):
        os.environ |= {"STORAGE_EMULATOR_HOST": proxy.address, "OUTBOX": f"{folder}/outbox"}
        yield [(Place(kind, Path(folder, kind)), proxy) for kind in KINDS if only in (None, kind)]
