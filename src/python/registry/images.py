"""The signature over the list of images that is rolled out: infra/k8s/images, which names each by its digest.

In the format and with the kinds of keys of the models' signatures (signing.py), but with a key of its own
(docs/decisions/0021). It lies beside the list, as LIST.sigstore.json, and covers the list's every byte.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from registry import signing
from registry.errors import InfrastructureError, Unsigned, UsageError, WrongSignature
from registry.keys import Keys

_SUBJECT = "trainyard/images"


def keys_of(private: str, trusted: Sequence[str]) -> Keys:
    """The key that signs, a file or a pkcs11: address, and the public keys that count.

    Raises:
        UsageError: neither is named, or `private` is an address that nothing here can sign with.
    """
    if not private and not trusted:
        raise UsageError("Name the key of the images: --signing-key to sign with, --public-key to check with.")
    # As of a registry in a bucket: no key is ever made.
    return Keys.of(private, trusted, "gs://none")


def sign(keys: Keys, listed: Path) -> Path:
    """Signs the list; the file with its signature.

    Raises:
        UsageError: the list is not there, or there is no key to sign with.
        InfrastructureError: the list, the key or the signature's file can't be read or written.
    """
    place = signature_of(listed)
    bundle = signing.seal(keys, _SUBJECT, {listed.name: _digest(listed)})
    try:
        place.write_text(json.dumps(bundle, indent=2) + "\n")
    except OSError as error:
        raise InfrastructureError(f"The signature {place} can't be written: {error.strerror}.") from None
    return place


def check(keys: Keys, listed: Path) -> str:
    """The fingerprint of the trusted key that signed the list as it is.

    Raises:
        Unsigned: there is no signature beside it.
        WrongSignature: it is another key's, or over something else.
        UsageError: the list is not there, or no key to check it with.
        InfrastructureError: a file can't be read.
    """
    place, trusted = signature_of(listed), keys.public_keys()
    digest = _digest(listed)
    try:
        text = place.read_text()
    except FileNotFoundError:
        raise Unsigned(f"{listed} is not signed: there is no {place.name} beside it.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InfrastructureError(f"The signature {place} can't be read: {error}.") from None
    signer = ""
    try:
        bundle = json.loads(text)
        signer = signing.signer_of(bundle)
        signed = signing.unsealed(trusted[signer], bundle)
    except KeyError:
        known = ", ".join(map(signing.shown, trusted))
        raise WrongSignature(
            f"{listed} is signed by the key {signing.shown(signer)}, and trusted here is {known}."
        ) from None
    except Exception:  # whatever a forged bundle does to its parser, it is no signature
        raise WrongSignature(f"The signature of {listed} is damaged or forged; build and sign again.") from None
    if signed != (_SUBJECT, {listed.name: digest}):
        raise WrongSignature(f"{listed} is not what was signed: it, or its signature, was changed since.")
    return signer


def signature_of(listed: Path) -> Path:
    return listed.with_name(f"{listed.name}.sigstore.json")


def _digest(listed: Path) -> str:
    try:
        return hashlib.sha256(listed.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise UsageError(f"There is no list of images {listed}.") from None
    except OSError as error:
        raise InfrastructureError(f"The list of images {listed} can't be read: {error.strerror}.") from None
