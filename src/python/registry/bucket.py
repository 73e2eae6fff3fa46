"""A registry in a bucket of Google Cloud Storage, safe against kills and against others at the same time.

An object is replaced by one request that names the generation it replaces. A folder is many objects and can't appear at
once: it is there as soon as its saved_model.pb is, which comes last and goes first (docs/decisions/0010).
"""

import mimetypes
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from google.api_core.exceptions import NotFound, PreconditionFailed

from cli.errors import TrainyardError
from contracts.location import InBucket
from registry.cloud import PATIENCE_SECONDS, Cloud
from registry.errors import Conflict, Immutable, InfrastructureError, Missing
from registry.manifest import compare, manifest_of
from registry.names import check_key
from registry.objects import CHECKED, OPTIONS, Objects
from registry.staging import LAST_FILE, STAGING, appear, filled_folder, refuse

# What a process has staged and not removed for so long was left by one that ended.
_ABANDONED_SECONDS = 24 * 3600.0
# Tells this process's own write from another's of the same bytes.
_WRITE = "write"


class BucketStore:
    """One model's part of a bucket: every key is an object's name after `prefix` and the model's name."""

    def __init__(self, bucket: str, folder: str, patience: float = PATIENCE_SECONDS) -> None:
        self._cloud = Cloud(bucket, patience)
        self._objects = Objects(self._cloud)
        self._root = f"{folder}/"

    @classmethod
    def open(cls, place: InBucket, model: str) -> "BucketStore":
        """The store of `model` in a bucket, or below a folder of it; nothing is asked yet.

        Raises:
            BadName: there can't be a folder of this name.
        """
        return cls(place.bucket, f"{check_key(place.prefix)}/{model}" if place.prefix else model)

    @classmethod
    def folders(cls, place: InBucket) -> list[str]:
        """The names of the folders right below a place: in a registry, of models."""
        root = f"{place.prefix}/" if place.prefix else ""
        found = Objects(Cloud(place.bucket)).names(root, delimiter="/")
        return sorted(name.removeprefix(root).rstrip("/") for name in found if name.endswith("/") and name != root)

    def require_writable(self) -> None:
        """A bucket can do all; whether this account may write there shows with the first write."""

    # Objects

    def read(self, key: str) -> tuple[bytes, int]:
        def download() -> tuple[bytes, int]:
            blob = self._blob(key)
            data = blob.download_as_bytes(**CHECKED)
            return data, blob.generation

        try:
            return self._objects.call(self._root + check_key(key), download)
        except NotFound:
            raise Missing(key) from None

    def write(self, key: str, data: bytes, if_generation: int | None = None) -> int:
        own = uuid.uuid4().hex

        def upload() -> int:
            blob = self._blob(key)
            blob.metadata = {_WRITE: own}
            blob.cache_control = "no-store"  # or a public bucket answers with what was there an hour ago
            kind = mimetypes.guess_type(key)[0] or "text/plain"
            blob.upload_from_string(data, content_type=kind, if_generation_match=if_generation, **CHECKED)
            return int(blob.generation)

        try:
            return self._cloud.call(upload, NotFound, PreconditionFailed)
        except PreconditionFailed:
            # Also what a second try is told when the first one succeeded, and only its answer was lost.
            blob = self._get(key)
            if blob is not None and (blob.metadata or {}).get(_WRITE) == own:
                return int(blob.generation)
            raise Conflict(_changed(key) if if_generation else f"{key} exists already.") from None
        except NotFound:
            raise self._objects.no_bucket() from None

    def delete(self, key: str, if_generation: int | None = None) -> None:
        tries = 0

        def delete() -> None:
            nonlocal tries
            tries += 1
            self._blob(key).delete(if_generation_match=if_generation, **OPTIONS)

        try:
            self._objects.call(self._root + check_key(key), delete, PreconditionFailed)
        except PreconditionFailed:
            raise Conflict(_changed(key)) from None
        except NotFound:
            # The first of several tries may have removed it, with its answer lost.
            if if_generation is not None and tries == 1:
                raise Conflict(_changed(key)) from None

    def list(self, prefix: str) -> list[str]:
        folder = check_key(prefix.rstrip("/"))
        found = self._objects.names(f"{self._root}{folder}/", delimiter="/")
        keys = [name.removeprefix(self._root) for name in found]
        # An object named like the folder itself is what some tools make of an empty folder.
        return sorted(key for key in keys if key != f"{folder}/" and not _last(key).startswith("."))

    def uri(self, key: str) -> str:
        return str(InBucket(self._cloud.name, self._root + check_key(key)))

    # Folders

    def served_folder(self, prefix: str) -> str:
        # TensorFlow Serving first asks for an object of just the name that it is told. It has to be there, and lie
        # where the servers' account may read: below a managed folder, whose name ends with a slash.
        name = f"{self._root}{check_key(prefix)}/"
        self._objects.mark(name)
        return f"gs://{self._cloud.name}/{name}"

    def has_folder(self, prefix: str) -> bool:
        return self._get(f"{prefix}/{LAST_FILE}") is not None

    def manifest(self, prefix: str) -> dict[str, str]:
        return {
            name: digest for name, (digest, _) in self._objects.read_back(f"{self._root}{check_key(prefix)}/").items()
        }

    def put_folder(self, prefix: str, source: Path, manifest: Mapping[str, str]) -> None:
        self._refuse_existing(prefix, manifest)
        refuse(source, compare(manifest_of(source), manifest))
        with self._stage() as stage:
            for name in manifest:
                self._objects.upload(source / name, f"{stage}{name}")
            self._appear(stage, prefix, manifest, source)

    def copy_folder(self, source: str, prefix: str, manifest: Mapping[str, str]) -> None:
        self._refuse_existing(prefix, manifest)
        self._appear(f"{self._root}{check_key(source)}/", prefix, manifest, self.uri(source))

    def get_folder(self, prefix: str, destination: Path, manifest: Mapping[str, str]) -> None:
        if os.path.lexists(destination):
            raise Immutable(f"{destination} exists; what is there is never overwritten.")
        for name in (prefix, *manifest):
            check_key(name)

        def fill(folder: Path) -> None:
            for name in manifest:
                self._objects.download(f"{self._root}{prefix}/{name}", folder / name)

        area = destination.parent / STAGING
        try:
            with filled_folder(area, fill, manifest, self.uri(prefix)) as staged:
                appear(staged, destination)
        except OSError as error:
            raise InfrastructureError(
                f"{self.uri(prefix)} can't be copied to {destination}: {error.strerror or error}. "
                "Check the permissions and the free space, then run the same command again."
            ) from error
        finally:
            with suppress(OSError):
                os.rmdir(area)  # stays when somebody else copies to the same place

    def remove_folder(self, prefix: str) -> None:
        root = f"{self._root}{check_key(prefix)}/"
        for name in sorted(self._objects.names(root), key=lambda name: (name != root + LAST_FILE, name)):
            self._objects.remove(name)

    def sweep(self) -> None:
        """Removes what processes staged and left, a day after they did."""
        before = time.time() - _ABANDONED_SECONDS
        for name, blob in self._objects.listed(f"{self._root}{STAGING}/").items():
            if blob.time_created is not None and blob.time_created.timestamp() < before:
                self._objects.remove(name)

    # Parts of those

    def _refuse_existing(self, prefix: str, manifest: Mapping[str, str]) -> None:
        """Nothing may be under the name but what a call like this one left when it was killed."""
        for name in manifest:
            check_key(name)
        if self.has_folder(prefix):
            raise Immutable(f"{self.uri(prefix)} exists; what is there is never overwritten.")
        if any(manifest.get(name) != digest for name, digest in self.manifest(prefix).items()):
            raise Immutable(
                f"{self.uri(prefix)} holds a part of another model, left by a call that was killed; take a new version."
            )

    def _appear(self, source: str, prefix: str, manifest: Mapping[str, str], where: object) -> None:
        """Copies the objects below `source`, once they are what `manifest` says, to the folder `prefix`."""
        target = f"{self._root}{prefix}/"
        found = self._objects.read_back(source)
        refuse(where, compare({name: digest for name, (digest, _) in found.items()}, manifest))
        for name in sorted(manifest, key=lambda name: (name == LAST_FILE, name)):
            if name == LAST_FILE:
                there = {key.removeprefix(target): blob.crc32c for key, blob in self._objects.listed(target).items()}
                if there != {key: blob.crc32c for key, (_, blob) in found.items() if key != LAST_FILE}:
                    raise Conflict(f"{self.uri(prefix)} was changed by somebody else meanwhile; take a new version.")
            self._objects.copy(found[name][1], target + name)

    @contextmanager
    def _stage(self) -> Iterator[str]:
        """Where objects may be put aside; they are removed at the end, or else by `sweep`."""
        stage = f"{self._root}{STAGING}/{uuid.uuid4().hex}/"
        try:
            yield stage
        finally:
            with suppress(TrainyardError):
                for name in self._objects.names(stage):
                    self._objects.remove(name)

    def _get(self, key: str) -> Any:
        """The object's properties, or None."""
        return self._objects.get(self._root + check_key(key))

    def _blob(self, key: str) -> Any:
        return self._cloud.bucket.blob(self._root + check_key(key))


def _last(key: str) -> str:
    return key.rstrip("/").split("/")[-1]


def _changed(key: str) -> str:
    return f"{key} was changed by somebody else meanwhile; try again."
