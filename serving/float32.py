"""Numbers of 32 bits as people write them, the same in REST's answers and in the client's."""

from trainyard_client.float32 import shortest

__all__ = ["shortest"]
