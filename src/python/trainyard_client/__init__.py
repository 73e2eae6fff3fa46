"""Client of Trainyard's prediction service: `with Client("HOST:PORT") as client: client.classify(image)`."""

from trainyard_client.access import Access
from trainyard_client.aio import AsyncClient
from trainyard_client.answers import Prediction, ServedModel
from trainyard_client.client import Client
from trainyard_client.errors import BadImage, ClientError, TooSlow, Unauthenticated, Unavailable, UnknownVersion
from trainyard_client.rest import AsyncRestClient, RestClient
from trainyard_client.waiting import until_serving, until_serving_async

__all__ = [
    "Access",
    "AsyncClient",
    "AsyncRestClient",
    "BadImage",
    "Client",
    "ClientError",
    "Prediction",
    "RestClient",
    "ServedModel",
    "TooSlow",
    "Unauthenticated",
    "Unavailable",
    "UnknownVersion",
    "until_serving",
    "until_serving_async",
]
