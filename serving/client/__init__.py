"""The command `client`, and the client library (trainyard_client) under its old name."""

from trainyard_client import (
    Access,
    BadImage,
    Client,
    ClientError,
    Prediction,
    ServedModel,
    TooSlow,
    Unauthenticated,
    Unavailable,
    UnknownVersion,
)

__all__ = [
    "Access",
    "BadImage",
    "Client",
    "ClientError",
    "Prediction",
    "ServedModel",
    "TooSlow",
    "Unauthenticated",
    "Unavailable",
    "UnknownVersion",
]
