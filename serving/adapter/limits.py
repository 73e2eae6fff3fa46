"""How much the adapter takes on at once."""

from dataclasses import dataclass, field

import imaging

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Upper bounds, all inclusive."""

    # Of one image: bytes, pixels, side.
    image: imaging.Limits = field(default_factory=imaging.Limits)
    # Of the body of one REST request, all its images together.
    max_request_bytes: int = 33 * MEBIBYTE
    # Images in one REST request. They reach the model as one batch.
    max_images: int = 32
    # Requests being worked on, gRPC and REST together. A ClassifyStream counts as one.
    max_in_flight: int = 64
    # Images of one ClassifyStream being worked on; further ones wait in the network.
    stream_concurrency: int = 4
    # Seconds from a request's first byte to its answer.
    request_timeout: float = 10.0
    # Seconds a ClassifyStream may be silent before it is ended: an open one holds a place among those in flight.
    stream_idle_timeout: float = 60.0
