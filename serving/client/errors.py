"""What may go wrong with a request.

ClientError
├── BadImage         the adapter can't read the image, or it is too large: the next one may be fine
├── UnknownVersion   the version or label asked for is not being served
└── Unavailable      no adapter, no model, too busy or too slow: the same request may succeed later
"""


class ClientError(Exception):
    """A request without an answer; str() says why in one sentence."""


class BadImage(ClientError):
    pass


class UnknownVersion(ClientError):
    pass


class Unavailable(ClientError):
    pass
