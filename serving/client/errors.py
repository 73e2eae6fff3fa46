"""The client library's errors under their old name."""

from trainyard_client.errors import BadImage, ClientError, TooSlow, Unauthenticated, Unavailable, UnknownVersion

__all__ = ["BadImage", "ClientError", "TooSlow", "Unauthenticated", "Unavailable", "UnknownVersion"]
