"""The keys that sign callers' tokens: a JWKS (RFC 7517) in a file, or at an address that is asked now and then."""

import contextlib
import http.client
import json
import logging
import math
import socket
import threading
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from jwt.algorithms import get_default_algorithms

from cli.errors import UsageError
from serving.adapter.hosts import is_loopback

logger = logging.getLogger(__name__)

MOST_BYTES = 256 * 1024
_MOST_KEYS = 100
_FETCH_SECONDS = 5.0
# Seconds until the address is asked again; sooner for a key that is not known, or after a failure.
_EVERY, _AGAIN = 600.0, 30.0
_LEAST_RSA_BITS = 2048
# By a key's kind and curve. Neither "none" nor HMAC, whose key would be the public one.
_ALGORITHMS = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}


@dataclass(frozen=True)
class Key:
    """A public key, and the algorithms that a token may name with it."""

    key: Any
    algorithms: tuple[str, ...]


class KeySet:
    """Keys by their `kid`. `refresh` follows the file or the address; what can't be used changes nothing."""

    def __init__(self, source: str) -> None:
        """
        Raises:
            UsageError: the file can't be used, or the address is not https.
        """
        self._source = source
        self._is_address = "://" in source
        self.keys: Mapping[str, Key] = {}
        self._wanted = False
        self._asked = -math.inf
        if self._is_address:
            parts = urllib.parse.urlsplit(source)
            if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
                raise UsageError(
                    f"--jwks is '{source[:200]}'; expected a file, or an address that begins with https://."
                )
        else:
            self.keys = _keys(self._read())

    def find(self, kid: str | None) -> Key | None:
        """The key called that; without a name the only one there is. One that is not known is asked for, later."""
        if kid is None:
            return next(iter(self.keys.values())) if len(self.keys) == 1 else None
        if kid not in self.keys:
            self._wanted = True
        return self.keys.get(kid)

    def refresh(self) -> None:
        """Called every few seconds, beside the event loop. Names of keys that somebody makes up make it ask no more."""
        now = time.monotonic()
        if self._is_address and now - self._asked < (_AGAIN if self._wanted else _EVERY):
            return
        self._asked, self._wanted = now, False
        try:
            self.keys = _keys(self._read())
        except UsageError as error:
            logger.error("The keys stay as they were: %s", error)
            self._wanted = True

    def _read(self) -> bytes:
        try:
            if self._is_address:
                return _fetched(self._source)
            with Path(self._source).open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise UsageError(f"--jwks {self._source[:200]} can't be read: {error.strerror or error}.") from None
        return _whole(data)


def _fetched(address: str) -> bytes:
    """What the address answers itself: a redirect leads where nobody has said that the keys are."""
    parts = urllib.parse.urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_FETCH_SECONDS)
    # The timeout is one of each piece; this is the end of all of them.
    end = threading.Timer(_FETCH_SECONDS, _cut, [connection])
    end.daemon = True
    end.start()
    try:
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request("GET", path, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise OSError(f"it answers {answer.status}")
        return _whole(answer.read(MOST_BYTES + 1))
    except http.client.HTTPException as error:
        raise OSError(str(error) or type(error).__name__) from None
    finally:
        end.cancel()
        connection.close()


def _cut(connection: http.client.HTTPConnection) -> None:
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _whole(data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise UsageError(f"--jwks has more than {MOST_BYTES} bytes.")
    return data


def _keys(data: bytes) -> dict[str, Key]:
    """
    Raises:
        UsageError: there is no key in it that tokens may be signed with.
    """
    try:
        listed = json.loads(data)["keys"][:_MOST_KEYS]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError("--jwks holds no JSON Web Key Set.") from None
    found: dict[str, Key] = {}
    for number, told in enumerate(listed):
        if isinstance(told, dict) and (key := _key(told)):
            found[str(told.get("kid", f"#{number}"))] = key
    if not found:
        raise UsageError("--jwks holds no public key of kind RSA (2048 bits or more), EC or Ed25519.")
    return found


def _key(told: dict[str, Any]) -> Key | None:
    allowed = _ALGORITHMS.get((str(told.get("kty")), str(told.get("crv", ""))), ())
    if "alg" in told:
        allowed = tuple(name for name in allowed if name == told["alg"])
    if not allowed or told.get("use", "sig") != "sig" or "d" in told:
        return None
    try:
        key = get_default_algorithms()[allowed[0]].from_jwk(told)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    return (
        Key(key, allowed)
        if getattr(key, "key_size", _LEAST_RSA_BITS) >= _LEAST_RSA_BITS or told["kty"] != "RSA"
        else None
    )
