"""How a served model bears up: how fast it answers many callers, and what memory that takes."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from contracts.verdict import Load, Loads, Memory
from serving.client import Client
from serving.pod import Pod

CALLERS = 8
# Versions take turns, and the best turn of each counts: what else the machine does meanwhile makes a turn slower and
# never faster, while a slow model is slow in all of them.
_ROUNDS = 8
_REQUESTS_A_ROUND = 40
# Nobody waits longer than about this for a slow version's rounds.
_MOST_SECONDS = 30.0
# Enough to touch every thread's memory once, and then again.
_BURST = 200


@dataclass(frozen=True)
class _Turn:
    samples_ms: list[float]
    seconds: float


def measure_load(client: Client, labels: Mapping[str, str | None], images: Sequence[bytes]) -> Loads:
    """For each of `labels`, a version's label in production's configuration by a field of Loads, how it bore the load.

    Raises:
        ClientError: a request got no answer.
    """
    turns: dict[str, list[_Turn]] = {name: [] for name, label in labels.items() if label}
    for name in turns:
        _burst(client, images, labels[name], CALLERS)  # nobody's first call counts
    begun = time.perf_counter()
    for number in range(_ROUNDS):
        if number and time.perf_counter() - begun > _MOST_SECONDS:
            break
        for name in turns:
            started = time.perf_counter()
            samples = _burst(client, images, labels[name], _REQUESTS_A_ROUND)
            turns[name].append(_Turn(samples, time.perf_counter() - started))
    return Loads(**{name: _load(own) for name, own in turns.items()})


def measure_memory(pod: Pod, client: Client, images: Sequence[bytes]) -> Memory | None:
    """What requests do to the model server's memory; None where it can't be seen.

    Raises:
        ClientError: a request got no answer.
    """
    _burst(client, images, None, _BURST)
    before = pod.memory_mib()
    _burst(client, images, None, _BURST)
    after = pod.memory_mib()
    if before is None or after is None:
        return None
    growth = round(after[0] - before[0], 1)
    return Memory(loaded_mib=round(before[0], 1), growth_mib=growth, peak_mib=round(after[1], 1))


def _burst(client: Client, images: Sequence[bytes], label: str | None, requests: int) -> list[float]:
    """Milliseconds that each of `requests` took, asked by several callers at once."""

    def ask(number: int) -> float:
        started = time.perf_counter()
        client.classify(images[number % len(images)], version_label=label)
        return 1000 * (time.perf_counter() - started)

    callers = ThreadPoolExecutor(CALLERS)
    try:
        return list(callers.map(ask, range(requests)))
    finally:
        callers.shutdown(cancel_futures=True)


def _load(turns: Sequence[_Turn]) -> Load:
    p50, p95 = (round(min(float(np.percentile(turn.samples_ms, share)) for turn in turns), 2) for share in (50, 95))
    fastest = max(len(turn.samples_ms) / turn.seconds for turn in turns)
    samples = [round(sample, 2) for turn in turns for sample in turn.samples_ms]
    return Load(
        requests=len(samples), p50_ms=p50, p95_ms=p95, requests_per_second=round(fastest, 1), samples_ms=samples
    )
