"""Bearer tokens that an identity provider has signed (JWT, OpenID Connect). Loaded only where --jwks asks for it."""

import hashlib

import jwt

from serving.adapter.jwks import KeySet
from serving.adapter.refusals import Unauthenticated

_MOST_CHARACTERS = 16 * 1024
_LEEWAY = 60  # seconds that clocks may differ
_WANTED = (
    "Send one in the header Authorization: Bearer TOKEN, of the issuer and for the audience that this adapter trusts."
)


class SignedTokens:
    """Who a signed token says is asking."""

    def __init__(self, source: str, issuer: str, audience: str) -> None:
        """
        Raises:
            UsageError: `source` is no file of keys, nor an address.
        """
        self.keys = KeySet(source)
        self._issuer, self._audience = issuer, audience

    def identify(self, authorization: str | None) -> str:
        """A name for issuer and subject of the token in the header Authorization.

        Raises:
            Unauthenticated: it has none, or one that is not signed, not for us, or not valid now.
        """
        kind, _, token = (authorization or "").strip().partition(" ")
        token = token.strip()
        if kind.lower() != "bearer" or not 0 < len(token) <= _MOST_CHARACTERS:
            raise Unauthenticated(f"A token is wanted. {_WANTED}")
        try:
            told = jwt.get_unverified_header(token)
            key = self.keys.find(told.get("kid"))
            if key is None:
                raise Unauthenticated("The token's key is not known here, or not yet; try again in half a minute.")
            claims = jwt.decode(
                token,
                key.key,
                # The key says what may be named: a header alone chooses no algorithm.
                algorithms=list(key.algorithms),
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            subject = str(claims["sub"])
        except Unauthenticated:
            raise
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired; get a new one.") from None
        # Whatever somebody writes into a token may make a library raise anything.
        except Exception:
            raise Unauthenticated(f"The token is not accepted. {_WANTED}") from None
        return "jwt:" + hashlib.sha256(f"{self._issuer}\n{subject}".encode("utf-8", "replace")).hexdigest()
