"""Signatures: who published the files of a version, in the format of OpenSSF Model Signing.

A record lists its version's files by digest. Whoever can write to the registry can change both; the signature over
that list tells, because its key lies elsewhere (docs/decisions/0009). What is signed is the list and the name
"<model>/<version>", so that the files of one version can't pass for another's.

The library is imported where it is used: that takes most of a second.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from contracts.record import Record
from registry.errors import Unsigned, WrongSignature
from registry.keys import Keys

SIGN_COMMAND = "./pants run src/python/promote -- sign"
_SHA256 = "sha256"
_FROM_A_COPY = "restore the record from a copy of the registry"


def sign(keys: Keys, model: str, version: int, files: Mapping[str, str]) -> dict[str, JsonValue]:
    """A Sigstore bundle over `files` (relative path -> sha256 in hex) as those of a version.

    Raises as `Keys.require` does.
    """
    return seal(keys, subject(model, version), files)


def seal(keys: Keys, name: str, files: Mapping[str, str]) -> dict[str, JsonValue]:
    """A Sigstore bundle over `files` (relative path -> sha256 in hex) as those of `name`.

    Raises as `Keys.require` does.
    """
    from model_signing import manifest
    from model_signing._hashing.hashing import Digest
    from model_signing._signing import signing

    # The library's public functions hash a folder of this machine; here the digests are known, and the folder may be
    # in a bucket.
    serialization = manifest.SerializationType.from_args(
        {"method": "files", "hash_type": _SHA256, "allow_symlinks": False}
    )
    items = [serialization.new_item(path, Digest(_SHA256, bytes.fromhex(digest))) for path, digest in files.items()]
    payload = signing.Payload(manifest.Manifest(name, items, serialization))
    bundle: dict[str, JsonValue] = json.loads(keys.sign(payload).bundle.to_json())
    return bundle


def check(keys: Keys, record: Record) -> str:
    """The fingerprint of the trusted key that signed the record's files as those of its version.

    Raises:
        Unsigned: the record holds no signature.
        WrongSignature: by another key, over other files or another version, or no signature at all.
        UsageError: there is no key to check it with.
    """
    name = f"version {record.version} of '{record.model}'"
    if not record.sigstore:
        raise Unsigned(
            f"V{name[1:]} is not signed: it was published before there were signatures, or without Trainyard. "
            f"If you know where it comes from, sign it with `{SIGN_COMMAND} {record.version}`."
        )
    trusted, signer = keys.public_keys(), signer_of(record.sigstore)
    if signer not in trusted:
        raise WrongSignature(
            f"V{name[1:]} is signed by the key {shown(signer)}, and trusted here is {', '.join(map(shown, trusted))}; "
            "if that key is one of yours, name it with --public-key or TRAINYARD_SIGNING_PUBLIC_KEYS."
        )
    try:
        signed_as, files = unsealed(trusted[signer], record.sigstore)
    except Exception:  # whatever a forged bundle does to its parser, it is no signature
        raise WrongSignature(f"The signature of {name} is damaged or forged; {_FROM_A_COPY}.") from None
    if signed_as != subject(record.model, record.version):
        raise WrongSignature(f"V{name[1:]} carries the signature of {signed_as!r}; {_FROM_A_COPY}.")
    if files != record.files:
        other = sorted(name for name in files.keys() | record.files.keys() if files.get(name) != record.files.get(name))
        raise WrongSignature(f"The record of {name} has other files than were signed ({other[0]}); {_FROM_A_COPY}.")
    return signer


def subject(model: str, version: int) -> str:
    return f"{model}/{version}"


def shown(signer: str) -> str:
    """A fingerprint as people are shown it."""
    return f"{signer[:12]}…" if signer else "of no name"


def signer_of(bundle: Mapping[str, Any]) -> str:
    """The fingerprint that a bundle names; "" where it names none."""
    try:
        return str(bundle["verificationMaterial"]["publicKey"]["hint"] or "")
    except (KeyError, TypeError):
        return ""


def unsealed(public_key: bytes, bundle: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """What a bundle was made over: the subject, and the files with their digests; raises anything if it is wrong."""
    from model_signing._signing import sign_ec_key, sign_sigstore_pb

    signature = sign_sigstore_pb.Signature.read(_InMemory(json.dumps(bundle).encode()))
    signed = sign_ec_key.Verifier(_InMemory(public_key)).verify(signature)
    found = list(signed.resource_descriptors())
    if any(item.digest.algorithm != _SHA256 for item in found):
        raise ValueError("another kind of digest")
    return signed.model_name, {item.identifier: item.digest.digest_hex for item in found}


class _InMemory:
    """What the library reads a file's content from: checking must work where nothing can be written."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read_bytes(self) -> bytes:
        return self._content

    def read_text(self, encoding: str) -> str:
        return self._content.decode(encoding)
