"""Why a request is not answered, the same for gRPC and REST.

Refusal
├── BadRequest         INVALID_ARGUMENT    400  the request is malformed
│   ├── BadImage       INVALID_ARGUMENT    422  the bytes are no picture the model can take
│   ├── UnknownFormat  INVALID_ARGUMENT    415  a picture or a body, but of a kind that is not read here
│   └── HugeImage      INVALID_ARGUMENT    413  more pixels than are decoded
├── Unauthenticated    UNAUTHENTICATED     401  no token or certificate that is known
├── Forbidden          PERMISSION_DENIED   403  a page of another site asks
├── WrongHost          INVALID_ARGUMENT    421  the adapter has another host name
├── TooLarge           RESOURCE_EXHAUSTED  413  more bytes or more images than are accepted
├── UnknownModel       NOT_FOUND           404  another model is being served here
├── UnknownVersion     NOT_FOUND           404  the version or label asked for is not being served
├── ExplanationsOff    NOT_FOUND           404  this adapter makes no explanations
├── Overloaded         RESOURCE_EXHAUSTED  429  too many requests at once; retry_after says when to come back
│   ├── TooManyImages  RESOURCE_EXHAUSTED  429  this caller has asked for more images a second than it may
│   └── ExplanationBusy                    429  an explanation is being made, or the model has no time for one (REST)
├── Unavailable        UNAVAILABLE         503  no model server, no stable version, or shutting down
├── SlowRequest        DEADLINE_EXCEEDED   408  the request itself did not arrive in time
├── TooSlow            DEADLINE_EXCEEDED   504  the answer took too long
└── Fault              INTERNAL            500  our own mistake or the model's; the log has the details

str() of each is shown to whoever asked: it never holds an internal address, path or traceback.
"""

import math

import grpc

_MAX_NAME_CHARACTERS = 100


class Refusal(Exception):
    """A request that gets no answer, and why, in one sentence."""

    code = grpc.StatusCode.INTERNAL
    status = 500  # of HTTP
    title = "The adapter failed"
    # The last part of the problem document's type; a stable name for programs.
    kind = "fault"
    # Seconds after which the same request may succeed; None if it never will, or nobody can tell.
    retry_after: int | None = None


class BadRequest(Refusal):
    code = grpc.StatusCode.INVALID_ARGUMENT
    status = 400
    title = "The request is malformed"
    kind = "bad-request"


class BadImage(BadRequest):
    status = 422
    title = "The image can't be read"
    kind = "bad-image"


class UnknownFormat(BadRequest):
    status = 415
    title = "The format is not supported"
    kind = "unsupported-format"


class HugeImage(BadRequest):
    status = 413
    title = "The image is too large"
    kind = "image-too-large"


class Unauthenticated(Refusal):
    code = grpc.StatusCode.UNAUTHENTICATED
    status = 401
    title = "The caller is not known"
    kind = "unauthenticated"


class Forbidden(Refusal):
    code = grpc.StatusCode.PERMISSION_DENIED
    status = 403
    title = "This site may not call the adapter"
    kind = "forbidden-origin"


class WrongHost(Refusal):
    code = grpc.StatusCode.INVALID_ARGUMENT
    status = 421
    title = "The adapter has another host name"
    kind = "wrong-host"


class TooLarge(Refusal):
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    status = 413
    title = "The request is too large"
    kind = "request-too-large"


class UnknownModel(Refusal):
    code = grpc.StatusCode.NOT_FOUND
    status = 404
    title = "The model is not being served"
    kind = "unknown-model"

    def __init__(self, name: str, served: str) -> None:
        super().__init__(f"There is no model '{name[:_MAX_NAME_CHARACTERS]}' here; this is '{served}'.")


class UnknownVersion(Refusal):
    code = grpc.StatusCode.NOT_FOUND
    status = 404
    title = "The version is not being served"
    kind = "unknown-version"


class ExplanationsOff(Refusal):
    code = grpc.StatusCode.NOT_FOUND
    status = 404
    title = "No explanations are made here"
    kind = "explanations-off"

    def __init__(self) -> None:
        super().__init__("This adapter makes no explanations; --explain switches them on.")


class Overloaded(Refusal):
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    status = 429
    title = "Too many requests at once"
    kind = "overloaded"
    retry_after = 1


class TooManyImages(Overloaded):
    title = "Too many images a second"
    kind = "rate-limited"

    def __init__(self, rate: float, seconds: float) -> None:
        super().__init__(f"At most {rate:g} images a second are classified for one caller; try again shortly.")
        self.retry_after = math.ceil(seconds)


class ExplanationBusy(Overloaded):
    title = "No explanation can be made now"
    kind = "explanation-busy"
    retry_after = 2


class Unavailable(Refusal):
    code = grpc.StatusCode.UNAVAILABLE
    status = 503
    title = "The model is not available"
    kind = "unavailable"
    retry_after = 1


class SlowRequest(Refusal):
    code = grpc.StatusCode.DEADLINE_EXCEEDED
    status = 408
    title = "The request took too long to arrive"
    kind = "request-timeout"


class TooSlow(Refusal):
    code = grpc.StatusCode.DEADLINE_EXCEEDED
    status = 504
    title = "The answer took too long"
    kind = "deadline-exceeded"


class Fault(Refusal):
    pass
