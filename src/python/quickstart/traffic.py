"""Applications at work: requests over gRPC and REST that go on while a promotion runs."""

import json
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from cli.loopback import open_url
from serving.client import Client


def classify_over_rest(url: str, image: bytes, timeout: float = 20) -> tuple[str, int]:
    """The label and the version that a plain HTTP upload is answered with."""
    request = urllib.request.Request(f"{url}/v1/classify", image, {"Content-Type": "image/png"})
    with open_url(request, timeout) as answer:
        result = json.load(answer)
    return result["label"], int(result["version"])


class Traffic:
    """Two callers, one a protocol, each asking again as soon as it is answered, `pause` seconds apart."""

    def __init__(self, address: str, url: str, images: list[bytes], pause: float = 0.02) -> None:
        self._address, self._url, self._images, self._pause = address, url, images, pause
        self._stop, self._lock = threading.Event(), threading.Lock()
        self.answered_by: Counter[int] = Counter()
        self.answered_over: Counter[str] = Counter()
        self.failures: list[str] = []
        self._threads = [
            threading.Thread(target=self._ask_grpc, daemon=True),
            threading.Thread(target=self._ask_rest, daemon=True),
        ]

    @property
    def requests(self) -> int:
        return sum(self.answered_by.values()) + len(self.failures)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _ask_grpc(self) -> None:
        with Client(self._address) as client:
            self._repeat("gRPC", lambda image: client.classify(image).version)

    def _ask_rest(self) -> None:
        self._repeat("REST", lambda image: classify_over_rest(self._url, image)[1])

    def _repeat(self, protocol: str, ask: Callable[[bytes], int]) -> None:
        turn = 0
        while not self._stop.is_set():
            try:
                version = ask(self._images[turn % len(self._images)])
                with self._lock:
                    self.answered_by[version] += 1
                    self.answered_over[protocol] += 1
            except Exception as error:
                # Whatever it is, an application would have seen it: it counts.
                with self._lock:
                    self.failures.append(f"{type(error).__name__}: {error}")
            turn += 1
            time.sleep(self._pause)
