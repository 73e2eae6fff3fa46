import time
from collections.abc import Callable


def wait_until(holds: Callable[[], bool], seconds: float = 15) -> None:
    """Returns when `holds` does; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"It did not come true within {seconds} s."
        time.sleep(0.02)
