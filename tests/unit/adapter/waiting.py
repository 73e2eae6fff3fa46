import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

from serving.adapter.gathering import Gathering


def wait_until(holds: Callable[[], bool], seconds: float = 15) -> None:
    """Returns when `holds` does; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"It did not come true within {seconds} s."
        time.sleep(0.02)


@contextmanager
def decoded() -> Iterator[list[int]]:
    """The numbers of images of requests that have come to the model, or wait for it to be free, in order.

    A request that is merely in flight may not be decoded yet, and then misses the call that others share.
    """
    came: list[int] = []
    predict = Gathering.predict

    async def counted(self: Gathering, version, images):  # type: ignore[no-untyped-def]
        came.append(len(images))
        return await predict(self, version, images)

    with mock.patch.object(Gathering, "predict", counted):
        yield came
