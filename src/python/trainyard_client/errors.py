"""What may go wrong with a request.

ClientError
├── BadImage         the adapter can't read the image, or it is too large: the next one may be fine
├── Unauthenticated  the adapter wants a token, or another one
├── UnknownVersion   the version or label asked for is not being served
└── Unavailable      no adapter, no model, or too busy: the same request may succeed later
    └── TooSlow      no answer within the time that was given
"""


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
