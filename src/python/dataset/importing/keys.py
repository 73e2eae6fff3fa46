"""Names of groups that tell nobody's: keyed hashes of what a patient is called elsewhere."""

import hashlib
import hmac
import os
import secrets
import threading
from pathlib import Path

from cli.errors import InfrastructureError, UsageError
from contracts.classes import in_one_form
from contracts.grouping import MARK

_BYTES = 32
_NAME_LENGTH = 16  # hexadecimal digits


class GroupNames:
    """Names by the key in `file`, which is made on first use, for images below `target`."""

    def __init__(self, file: Path, target: Path) -> None:
        self._file, self._target = file, target
        self._key: bytes | None = None
        self._lock = threading.Lock()

    def of(self, group: str) -> str:
        """The name of `group`; "" for none."""
        # Of one patient's two folders a Mac may have written one.
        return self._hash(f"group {in_one_form(group)}")[:_NAME_LENGTH] if group else ""

    def require(self) -> None:
        """Makes sure of the key before anything is written.

        Raises:
            UsageError: the groups of the target were named by another key, or the file holds none.
            InfrastructureError: the key can't be made, or read.
        """
        mark = self._target / MARK  # with another key, a patient would get a second name
        try:
            if mark.is_file() and mark.read_text().strip() != self._hash("key"):
                raise UsageError(
                    f"The groups in {self._target} were named by another key than {self._file}; give that with "
                    "--group-key, or import into a new folder."
                )
            self._target.mkdir(parents=True, exist_ok=True)
            mark.write_text(self._hash("key") + "\n")
        except OSError as error:
            raise InfrastructureError(f"{error.filename} can't be used ({error.strerror}).") from None

    def _hash(self, text: str) -> str:
        with self._lock:
            if self._key is None:
                self._key = self._read()
        return hmac.new(self._key, text.encode(errors="surrogateescape"), hashlib.sha256).hexdigest()

    def _read(self) -> bytes:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(secrets.token_hex(_BYTES) + "\n")
        except FileExistsError:
            pass
        key = self._file.read_text().strip()
        if len(key) < _BYTES:
            raise UsageError(f"{self._file} holds no key; remove it and a new one is made, or name another file.")
        return key.encode()
