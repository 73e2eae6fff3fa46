"""Python client of the adapter: `with Client("HOST:PORT") as client: client.classify(image)`."""

from serving.client.client import Client, Prediction, ServedModel
from serving.client.errors import BadImage, ClientError, TooSlow, Unavailable, UnknownVersion

__all__ = ["BadImage", "Client", "ClientError", "Prediction", "ServedModel", "TooSlow", "Unavailable", "UnknownVersion"]
