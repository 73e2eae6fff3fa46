"""A key that never leaves its keeper: a KMS, a hardware module or a smart card, asked through PKCS #11.

The key is named by its address (RFC 7512), and the keeper's own module, a shared library, does the signing:
pkcs11:token=TOKEN;object=KEY?module-path=/usr/lib/…/libkmsp11.so&pin-source=/run/secrets/pin
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from registry.errors import InfrastructureError, UsageError

if TYPE_CHECKING:
    from model_signing._signing.sign_pkcs11 import Signer
    from model_signing._signing.signing import Payload, Signature

SCHEME = "pkcs11:"
# What a keeper says of a request that will never be right, as opposed to one that may be tomorrow.
_REFUSED = ("CKR_PIN_INCORRECT", "CKR_PIN_INVALID", "CKR_PIN_LEN_RANGE", "CKR_USER_NOT_LOGGED_IN")


def signer(address: str) -> "Signer":
    """The key at `address`, asked for once: its keeper is there, the PIN is right, the key is there and of a kind.

    Raises:
        UsageError: the address is malformed, names nothing, or the PIN is wrong.
        InfrastructureError: the keeper fails.
    """
    from model_signing._signing.sign_pkcs11 import Signer

    with _told(address):
        return Signer(address)


def sign(address: str, payload: "Payload") -> "Signature":
    """Signed with the key at `address`; raises as `signer` does, as its keeper may fail between."""
    with _told(address):
        return signer(address).sign(payload)


@contextmanager
def _told(address: str) -> Iterator[None]:
    from PyKCS11 import PyKCS11Error

    # What follows may hold the PIN.
    name = address.partition("?")[0]
    try:
        yield
    except PyKCS11Error as error:
        if str(error).startswith(_REFUSED):
            raise UsageError(
                f"The module that holds {name} refuses the PIN ({error}); name a file that holds it, and "
                "no line break, with pin-source=FILE."
            ) from None
        raise InfrastructureError(f"The module that holds the signing key {name} failed: {error}.") from None
    except TypeError:  # the library looks for the curve of a key that has none
        raise UsageError(
            f"The signing key {name} is no elliptic-curve key; it takes one on the curve P-256, P-384 or P-521."
        ) from None
    except (OSError, ValueError) as error:
        said = str(error) or "the module of module-path does not exist"
        raise UsageError(
            f"The signing key {name} can't be used: {said}; it takes an address as "
            "pkcs11:token=TOKEN;object=KEY?module-path=MODULE.so&pin-source=FILE."
        ) from None
