"""The command `client`, and the client library (trainyard_client) under its old name."""

from trainyard_client import (
    BadImage,
    Client,
    ClientError,
    Prediction,
    ServedModel,
    TooSlow,
    Unavailable,
    UnknownVersion,
)

__all__ = ["BadImage", "Client", "ClientError", "Prediction", "ServedModel", "TooSlow", "Unavailable", "UnknownVersion"]
