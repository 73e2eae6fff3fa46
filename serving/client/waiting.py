"""Waits for an adapter that is still starting."""

import time

from serving.client.client import Client
from serving.client.errors import Unavailable

_PAUSE = 0.5  # seconds between two tries
_TRY = 5.0  # seconds for one
HINT = "If it is still starting, --wait 60 waits that many seconds for it."


def until_serving(client: Client, seconds: float) -> None:
    """Returns as soon as the adapter has a stable version that can answer.

    Raises:
        Unavailable: it has none after `seconds`, with the last reason.
        ClientError: what answers is not an adapter.
    """
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        try:
            served = client.model(timeout=max(0.1, min(left, _TRY)))
            if "stable" in served.version_labels:
                return
            reason = Unavailable(f"Model '{served.name}' has no version labelled 'stable' loaded yet.")
        except Unavailable as error:
            reason = error
        if time.monotonic() + _PAUSE >= deadline:
            raise type(reason)(f"{reason} Waited {seconds:g} s.") from None
        time.sleep(_PAUSE)
