"""The client library's errors under their old name."""

from trainyard_client.errors import BadImage, ClientError, TooSlow, Unavailable, UnknownVersion

__all__ = ["BadImage", "ClientError", "TooSlow", "Unavailable", "UnknownVersion"]
