"""Single objects of a bucket, by their whole names: copied, listed, read back; safe against lost answers."""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from google.api_core.exceptions import GoogleAPICallError, NotFound, PreconditionFailed

from registry.cloud import TIMEOUT_SECONDS, Cloud
from registry.errors import Conflict, InfrastructureError, Refused

OPTIONS: dict[str, Any] = {"timeout": TIMEOUT_SECONDS, "retry": None}  # retried as a whole, by Cloud
CHECKED: dict[str, Any] = {**OPTIONS, "checksum": "crc32c"}
Result = TypeVar("Result")


class Objects:
    """Those of the bucket that `cloud` reaches."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def call(self, name: str, work: Callable[[], Result], *known: type[GoogleAPICallError]) -> Result:
        """What `work` makes of an object; NotFound also where it was refused for no other reason.

        An account that may list a folder of the bucket, and not the bucket, may be refused what is not there.
        """
        try:
            return self._cloud.call(work, NotFound, *known)
        except Refused:
            with suppress(Refused):
                if name not in self.names(name):
                    raise NotFound(name) from None
            raise

    def get(self, name: str) -> Any:
        """The object's properties, or None."""
        try:
            return self.call(name, lambda: self._cloud.bucket.get_blob(name, **OPTIONS))
        except NotFound:
            return None

    def mark(self, name: str) -> None:
        """Makes the empty object of that name, unless it is there."""
        with suppress(PreconditionFailed):
            self._cloud.call(
                lambda: self._cloud.bucket.blob(name).upload_from_string(b"", if_generation_match=0, **CHECKED),
                PreconditionFailed,
            )

    def copy(self, source: Any, name: str) -> None:
        def rewrite() -> str:
            blob, token = self._cloud.bucket.blob(name), None
            while True:
                # Of just the bytes that were read back, and only where there is nothing.
                token, _, _ = blob.rewrite(
                    source,
                    token=token,
                    if_generation_match=0,
                    if_source_generation_match=source.generation,
                    **OPTIONS,
                )
                if token is None:
                    return str(blob.crc32c)

        try:
            crc32c = self._cloud.call(rewrite, NotFound, PreconditionFailed)
        except PreconditionFailed:
            there = self.get(name)
            crc32c = there.crc32c if there is not None else ""
        except NotFound:
            crc32c = ""
        if crc32c != source.crc32c:
            raise Conflict(f"gs://{self._cloud.name}/{name} was changed by somebody else meanwhile; try again.")

    def upload(self, source: Path, name: str) -> None:
        def upload() -> None:
            with os.fdopen(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                self._cloud.bucket.blob(name).upload_from_file(file, size=size, **CHECKED)

        try:
            self._cloud.call(upload, NotFound)
        except NotFound:
            raise self.no_bucket() from None
        except OSError as error:
            raise InfrastructureError(f"{source} can't be read: {error.strerror or error}.") from error

    def download(self, name: str, path: Path) -> None:
        def download() -> None:
            with path.open("wb") as file:
                self._cloud.bucket.blob(name).download_to_file(file, **CHECKED)
                file.flush()
                os.fsync(file.fileno())

        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.call(name, download)
        except NotFound:
            path.unlink(missing_ok=True)  # the comparison with the manifest names it

    def read_back(self, root: str) -> dict[str, tuple[str, Any]]:
        """Of all below `root`, name after it -> sha256 of what was read now, and the object it was read from."""
        found = {}
        for name, listed in sorted(self.listed(root).items()):
            if name.endswith("/") and not listed.size:
                continue  # what some tools make of an empty folder

            def digest(blob: Any = listed) -> str:
                hashed = hashlib.sha256()
                blob.download_to_file(_Sink(hashed), if_generation_match=blob.generation, **CHECKED)
                return hashed.hexdigest()

            try:
                found[name.removeprefix(root)] = (self._cloud.call(digest, NotFound, PreconditionFailed), listed)
            except (NotFound, PreconditionFailed):
                raise Conflict(f"gs://{self._cloud.name}/{name} was changed while it was read; try again.") from None
        return found

    def remove(self, name: str) -> None:
        with suppress(NotFound):
            self.call(name, lambda: self._cloud.bucket.blob(name).delete(**OPTIONS))

    def listed(self, prefix: str) -> dict[str, Any]:
        """Name -> object of all that is below, at any depth."""
        try:
            return self._cloud.call(
                lambda: {blob.name: blob for blob in self._cloud.bucket.list_blobs(prefix=prefix, **OPTIONS)},
                NotFound,
            )
        except NotFound:
            raise self.no_bucket() from None

    def names(self, prefix: str, delimiter: str | None = None) -> Sequence[str]:
        def names() -> Sequence[str]:
            pages = self._cloud.bucket.list_blobs(prefix=prefix, delimiter=delimiter, **OPTIONS)
            return [*(blob.name for blob in pages), *pages.prefixes]

        try:
            return self._cloud.call(names, NotFound)
        except NotFound:
            raise self.no_bucket() from None

    def no_bucket(self) -> InfrastructureError:
        return InfrastructureError(
            f"The bucket gs://{self._cloud.name} does not exist, or this account may not see it; make it first."
        )


class _Sink:
    """A file that keeps nothing but the digest of what is written to it."""

    def __init__(self, hashed: Any) -> None:
        self._hashed = hashed

    def write(self, data: bytes) -> int:
        self._hashed.update(data)
        return len(data)
