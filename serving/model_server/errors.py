"""What goes wrong, with the status code a client gets for it.

ServingError            a request (or a load) that failed; code and message go to the client
StartError              the server cannot start; one sentence and an exit code for the person who started it
"""

from __future__ import annotations

import logging

import grpc

log = logging.getLogger(__name__)

MAX_MESSAGE_CHARS = 1024  # TensorFlow Serving cuts longer messages too


class ServingError(Exception):
    """A failure with a gRPC status code and a message for the client."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message if len(message) <= MAX_MESSAGE_CHARS else message[:MAX_MESSAGE_CHARS] + "...TRUNCATED"

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


class StartError(Exception):
    """The server cannot start: `exit_code` is 2 for wrong flags, 4 for a model refused, 6 for the machine's state."""

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def invalid(message: str) -> ServingError:
    """INVALID_ARGUMENT, by far the most frequent answer to a bad request."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> ServingError:
    """NOT_FOUND."""
    return ServingError(grpc.StatusCode.NOT_FOUND, message)


def failed_precondition(message: str) -> ServingError:
    """FAILED_PRECONDITION."""
    return ServingError(grpc.StatusCode.FAILED_PRECONDITION, message)


_BY_NUMBER = {status.value[0]: status for status in grpc.StatusCode}


def as_serving_error(error: Exception) -> ServingError:
    """Any exception as a ServingError: TensorFlow's errors carry gRPC's code numbers; the rest is INTERNAL."""
    if isinstance(error, ServingError):
        return error
    number = getattr(error, "error_code", None)  # tensorflow.errors.OpError, without importing TensorFlow here
    if isinstance(number, int) and number in _BY_NUMBER:
        return ServingError(_BY_NUMBER[number], str(getattr(error, "message", error)))
    if isinstance(error, MemoryError):
        return ServingError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Out of memory.")
    return ServingError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")


def answer_to(problem: Exception) -> ServingError:
    """What a client is told about `problem`; of a bug of ours it learns no more than that, the log has the rest."""
    error = as_serving_error(problem)
    if error.code is not grpc.StatusCode.INTERNAL:
        return error
    log.error("A request failed", exc_info=problem)
    if isinstance(problem, ServingError) or hasattr(problem, "error_code"):
        return error
    return ServingError(error.code, "Internal error; the server's log tells more.")
