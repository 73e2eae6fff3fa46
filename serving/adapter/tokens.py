"""Bearer tokens from a file that may be mounted and changed while the adapter runs."""

import hashlib
import hmac
import logging
from pathlib import Path

from cli.errors import UsageError
from serving.adapter.refusals import Unauthenticated

logger = logging.getLogger(__name__)

_LEAST_CHARACTERS = 16
_MOST_BYTES = 1024 * 1024
_WANTED = "Send a token that this adapter knows, in the header Authorization: Bearer TOKEN."


class Tokens:
    """The tokens in a file, one a line; empty lines and those that begin with # are passed over."""

    def __init__(self, file: Path) -> None:
        """
        Raises:
            UsageError: the file can't be read, or holds no token that is long enough.
        """
        self._file = file
        self._text = b""
        self._digests: tuple[bytes, ...] = ()
        self._read()

    def identify(self, authorization: str | None) -> str:
        """The digest of the token in the header Authorization.

        Raises:
            Unauthenticated: it has none, or one that is not in the file.
        """
        kind, _, token = (authorization or "").strip().partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise Unauthenticated(_WANTED)
        asked = _digest(token.strip().encode("utf-8", "replace"))
        # All are compared, and digests, so that the time tells neither which one was close nor how long it is.
        if not any([hmac.compare_digest(asked, known) for known in self._digests]):
            raise Unauthenticated(f"The token is not known here. {_WANTED}")
        return asked.hex()

    def refresh(self) -> None:
        """Reads the file again. What can't be used changes nothing: nobody is let in or out by a half-written file."""
        try:
            self._read()
        except UsageError as error:
            logger.error("The tokens stay as they were: %s", error)

    def _read(self) -> None:
        try:
            with self._file.open("rb") as file:
                text = file.read(_MOST_BYTES)
        except OSError as error:
            raise UsageError(f"--token-file {self._file} can't be read: {(error.strerror or str(error))}.") from None
        if text == self._text and self._digests:
            return
        self._text = text
        tokens = [line.strip() for line in text.splitlines()]
        tokens = [token for token in tokens if token and not token.startswith(b"#")]
        if not tokens:
            raise UsageError(f"--token-file {self._file} holds no token; write one a line.")
        if any(len(token) < _LEAST_CHARACTERS for token in tokens):
            raise UsageError(
                f"--token-file {self._file} holds a token of fewer than {_LEAST_CHARACTERS} characters; "
                "make longer ones, such as by: openssl rand -hex 32"
            )
        self._digests = tuple(_digest(token) for token in tokens)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
