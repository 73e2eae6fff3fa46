"""The key that signs what is published, and the keys whose signatures count: elliptic-curve keys.

The one that signs is a PEM file, or one that a KMS or a hardware module keeps (registry/pkcs11.py).
"""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.home import home_expanded
from contracts import location
from contracts.location import Local
from registry import disk, pkcs11
from registry.errors import InfrastructureError, UsageError
from registry.staging import make_folder, sync_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from model_signing._signing.signing import Payload, Signature

_NAME_TRUSTED = "name the public key with --public-key or TRAINYARD_SIGNING_PUBLIC_KEYS"
_NAME_PRIVATE = "name one with --signing-key or TRAINYARD_SIGNING_KEY"
# Those that model_signing takes.
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


@dataclass(frozen=True)
class Keys:
    """
    Arguments:
        private: file of the key that signs; None for a registry in a bucket where none is named.
        trusted: files of public keys, or folders whose *.pub are; without any, the public half of `private` is the one
            that counts.
        make: whether a missing `private` is made when something is to be signed. For a registry in a folder alone, as
            a bucket is shared, and each machine would make a key of its own; and never one that was named: a mount
            that failed would be signed for by a stranger.
        key_uri: the PKCS #11 address of the key that signs, in place of `private`; "" for none.
    """

    private: Path | None
    trusted: tuple[Path, ...] = ()
    make: bool = False
    key_uri: str = ""

    @classmethod
    def of(cls, private: str, trusted: Sequence[str], registry: str) -> "Keys":
        """As settings name them, for the registry at `registry`; without `private`, a key beside the folder.

        Beside and not inside, as a server, a copy or a container that gets the registry should not get the key; and
        not in the caller's folder, so that whoever finds the registry finds the key.

        Raises:
            UsageError: `private` is an address that nothing here can sign with.
        """
        files = tuple(home_expanded(path) for path in trusted)
        scheme, colon, rest = private.partition(":")
        if scheme.lower() + colon == pkcs11.SCHEME:
            return cls(None, files, key_uri=pkcs11.SCHEME + rest)
        if location.is_address(private):  # as a file it would be made, and sign in the place of the key that is meant
            raise UsageError(
                f"{private!r} is no signing key; name a file, or the key of a KMS or a hardware module by its "
                f"{pkcs11.SCHEME} address."
            )
        place_of = location.parse(registry, "registry")
        in_folder = isinstance(place_of, Local)
        place = home_expanded(private) if private else None
        if place is None and isinstance(place_of, Local):
            folder = place_of.path.absolute()
            place = folder.with_name(f"{folder.name}.keys") / "signing.pem"
        return cls(place, files, make=in_folder and not private)

    @property
    def public(self) -> Path | None:
        """The file with the public half of `private`, for whoever may check and not sign."""
        return self.private.with_suffix(".pub") if self.private else None

    def require(self) -> None:
        """Sees to it that there is a key to sign with. Called early in a long run, so that its end can sign.

        Raises:
            UsageError: there is no private key, or one of another kind.
            InfrastructureError: it can't be read or made, or its keeper fails.
        """
        if self.key_uri:
            pkcs11.signer(self.key_uri)
        else:
            self.file()

    def sign(self, payload: "Payload") -> "Signature":
        """What the library makes of `payload`; raises as `require` does."""
        if self.key_uri:
            return pkcs11.sign(self.key_uri, payload)
        from model_signing._signing import sign_ec_key

        return sign_ec_key.Signer(self.file()).sign(payload)

    def file(self) -> Path:
        """The private key's file, for whoever hands it on; a missing pair is made. Raises as `require` does."""
        if self.key_uri:
            raise UsageError("A key that a KMS keeps can't be handed on as a file; name the file of one.")
        if self.private is None:
            raise UsageError(f"A registry in a bucket has no key of its own to sign with; {_NAME_PRIVATE}.")
        public = self.private.with_suffix(".pub")
        if self.make and not os.path.exists(self.private):
            _make_pair(self.private, public)
        key = _read_private(self.private)
        if self.make and not os.path.exists(public):  # whoever made the pair was killed between
            with suppress(OSError):
                public.write_bytes(_pem(key.public_key()))
        return self.private

    def public_keys(self) -> dict[str, bytes]:
        """Fingerprint -> PEM of every key whose signatures count.

        Raises:
            UsageError: there is none, or a file holds something else.
            InfrastructureError: one can't be read.
        """
        if self.trusted:
            keys = [_read_public(file) for path in self.trusted for file in _public_files(path)]
        elif self.key_uri:
            keys = [pkcs11.signer(self.key_uri).public_key()]
        # The private key is its owner's alone: a colleague gets along with the public half beside it.
        elif self.private and self.public and not os.access(self.private, os.R_OK) and os.path.exists(self.public):
            keys = [_read_public(self.public)]
        elif self.private and os.path.exists(self.private):
            keys = [_read_private(self.private).public_key()]
        else:
            missing = f" ({self.private} is missing)" if self.private else ""
            raise UsageError(f"No key is there to check signatures with{missing}; {_NAME_TRUSTED}.")
        return {fingerprint(pem): pem for pem in map(_pem, keys)}


def fingerprint(pem: bytes) -> str:
    """How a signature names its key: sha256 in hex of the public key's PEM."""
    return hashlib.sha256(pem).hexdigest()


def _read_private(path: Path) -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    data = _read(path, f"sign with; {_NAME_PRIVATE}")
    key: object = None
    with suppress(ValueError, TypeError):
        key = serialization.load_pem_private_key(data, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _CURVES:
        raise UsageError(
            f"{path} is no private key that can sign: it takes one on the curve P-256, P-384 or P-521 in PEM without a "
            "password, as `openssl ecparam -name prime256v1 -genkey -noout` makes it."
        )
    return key


def _read_public(path: Path) -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    data = _read(path, f"check signatures with; {_NAME_TRUSTED}")
    key: object = None
    with suppress(ValueError, TypeError):
        key = serialization.load_pem_public_key(data)
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
        raise UsageError(f"{path} is no public key on the curve P-256, P-384 or P-521 in PEM; {_NAME_TRUSTED}.")
    return key


def _public_files(path: Path) -> list[Path]:
    """The file itself, or every NAME.pub of a folder: while a key is changed both are there, as a mount brings them."""
    if not path.is_dir():
        return [path]
    try:
        found = sorted(file for file in path.iterdir() if file.suffix == ".pub" and not file.name.startswith("."))
    except OSError as error:
        raise InfrastructureError(f"The folder of keys {path} can't be read: {error.strerror}.") from None
    if not found:
        raise UsageError(f"The folder {path} holds no public key (NAME.pub) to check signatures with; {_NAME_TRUSTED}.")
    return found


def _read(path: Path, purpose: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist, so there is no key to {purpose}.") from None
    except OSError as error:
        raise InfrastructureError(f"The key {path} can't be read: {error.strerror}.") from None


def _pem(key: "EllipticCurvePublicKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _make_pair(private: Path, public: Path) -> None:
    """Whole or not at all, and once: of two that make it at the same time, one keeps the other's."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    aside = private.with_name(f".{private.name}.{os.getpid()}")
    try:
        make_folder(private.parent)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            disk.appear(aside, private)
            public.write_bytes(_pem(key.public_key()))
        sync_folder(private.parent)
    except OSError as error:
        raise InfrastructureError(
            f"The signing key {private} can't be made, as its folder {private.parent} can't be written "
            f"({error.strerror}); it lies beside the registry: name another place with --registry, or a key that is "
            "there with --signing-key."
        ) from None
    finally:
        with suppress(OSError):
            aside.unlink()
