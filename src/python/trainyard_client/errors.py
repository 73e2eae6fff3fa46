"""What may go wrong with a request.

ClientError
├── BadImage         the adapter can't read the image, or it is too large: the next one may be fine
├── Unauthenticated  the adapter, or a proxy before it, wants a token, or another one
├── UnknownVersion   the version or label asked for is not being served
└── Unavailable      no adapter, no model, or too busy: the same request may succeed later
    └── TooSlow      no answer within the time that was given
"""

# Of an address whose proxy has refused a call.
BY_PROXY = (
    "{} is behind a proxy that wants to know who asks; it was shown no identity token, or one that does not count "
    "(proxy_token, --proxy-token-file)."
)


class ClientError(Exception):
    """A request without an answer; str() says why in one sentence."""


class BadImage(ClientError):
    pass


class Unauthenticated(ClientError):
    pass


class UnknownVersion(ClientError):
    pass


class Unavailable(ClientError):
    pass


class TooSlow(Unavailable):
    pass
