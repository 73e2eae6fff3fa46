"""What a registry needs of the place that keeps it; a directory and a bucket both fit behind this.

Objects are small and shared (records, journal, configuration); each has a generation that changes at every write, so
that a writer can insist on having seen the newest. Folders are large and immutable: a model's files.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Store(Protocol):
    """One model's part of a registry. Keys are checked relative paths such as "records/7.json".

    Every method may raise InfrastructureError (disk full, no permission, storage down); a retry may help.
    """

    def require_writable(self) -> None:
        """Tries whether the place can do what the methods below promise, as far as that can be told in advance."""

    def read(self, key: str) -> tuple[bytes, int]:
        """The object's bytes and generation.

        Raises:
            Missing: no such object.
        """

    def write(self, key: str, data: bytes, if_generation: int | None = None) -> int:
        """Replaces the object as a whole and returns its new generation.

        With `if_generation=0` only when there is none yet; with another number only when the object still has that
        generation; with None in any case.

        Raises:
            Conflict: the object has another generation.
        """

    def delete(self, key: str, if_generation: int | None = None) -> None:
        """Removes an object; one that is not there is fine when `if_generation` is None.

        Raises:
            Conflict: the object has another generation, or none.
        """

    def list(self, prefix: str) -> list[str]:
        """Sorted keys of the objects right under the folder `prefix`, and of its sub-folders with a slash after."""

    def uri(self, key: str) -> str:
        """What a model server, or a person, finds the key by: a path or gs://bucket/…"""

    def served_folder(self, prefix: str) -> str:
        """The folder `prefix` as a model server is told it: one that TensorFlow takes for a folder, empty or not."""

    def has_folder(self, prefix: str) -> bool:
        """Whether the folder `prefix` has appeared; one that was never finished, or is being removed, has not."""

    def manifest(self, prefix: str) -> dict[str, str]:
        """Relative path -> sha256 of every file of a folder, read now; empty when there is no such folder."""

    def put_folder(self, prefix: str, source: Path, manifest: Mapping[str, str]) -> None:
        """Makes the folder `prefix` from the files of `source` that `manifest` names.

        They are copied aside, read back and compared with `manifest`; the folder then appears whole, or not at all. A
        call that was killed is finished by the same call.

        Raises:
            Immutable: the folder exists.
            Tampered: `source` does not hold what `manifest` says.
        """

    def copy_folder(self, source: str, prefix: str, manifest: Mapping[str, str]) -> None:
        """`put_folder` from another folder of the same store."""

    def get_folder(self, prefix: str, destination: Path, manifest: Mapping[str, str]) -> None:
        """Makes the folder `destination` on this machine, with the checks of `put_folder`."""

    def remove_folder(self, prefix: str) -> None:
        """Removes a folder, whole or half-made; at any moment it has appeared, and is whole, or has not."""

    def sweep(self) -> None:
        """Removes what calls that were killed have put aside and left."""
