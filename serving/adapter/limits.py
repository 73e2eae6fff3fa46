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
    # Requests being worked on, gRPC and REST together: from when a request is there in full. Each image of a
    # ClassifyStream counts as one.
    max_in_flight: int = 64
    # Images that go to the model as one call, of those that waited while it worked; 0: each request goes by itself.
    max_gathered: int = 0
    # Explanations being made at once; 0: none are made. Each asks the model about 65 images, while it has nothing else.
    max_explanations: int = 0
    # Images of one ClassifyStream being worked on; further ones wait in the network.
    stream_concurrency: int = 4
    # Bytes of all REST bodies that are being received or worked on.
    max_held_bytes: int = 256 * MEBIBYTE
    # A body may take so many seconds, and as many more as it has bytes over this many a second.
    body_grace: float = 10.0
    min_body_rate: int = 64 * 1024
    # Pixels, as stored, of all images being decoded at one moment. A larger image waits until it is alone.
    max_pixels_at_once: int = 40_000_000
    # Seconds from when a request is there to its answer.
    request_timeout: float = 10.0
    # Seconds a ClassifyStream may be silent before it is ended, and how many may be open.
    stream_idle_timeout: float = 60.0
    max_streams: int = 256
