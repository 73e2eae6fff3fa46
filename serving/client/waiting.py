"""Waiting for an adapter, under its old name."""

from trainyard_client.waiting import until_serving

HINT = "`./pants run serving/pod` starts one here. If it is still starting, --wait 60 waits that many seconds for it."

__all__ = ["HINT", "until_serving"]
