"""The client library under its old name."""

from trainyard_client.answers import Prediction, ServedModel
from trainyard_client.client import DEFAULT_TIMEOUT, Client

__all__ = ["DEFAULT_TIMEOUT", "Client", "Prediction", "ServedModel"]
