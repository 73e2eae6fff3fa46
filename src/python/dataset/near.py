"""Pictures that are nearly the same: saved anew with loss, in another size, turned a little."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cli.machine import processors
from dataset.facts import ANGLES, PRINT_BYTES
from dataset.pool import in_order

# Of 256 bits. Copies of real X-rays by JPEG at quality 30, in a third of the size or turned by 2° differ in at most 12,
# and of 884 X-rays no two differ in fewer than 26.
MOST_BITS = 14
_WORDS = PRINT_BYTES // 8  # of 64 bits
_BLOCK, _COLUMNS = 64, 2048  # compared at once: what fits into a processor's own cache
# One word first: it rules out nearly all, at a quarter of the cost. The one of the finest details: pictures of one kind
# have the coarse ones in common.
_TELLING = _WORDS - 1
# Where every picture is near to every other the hash tells nothing, and more pairs would only fill memory.
_MOST_PAIRS_AN_IMAGE = 200

Pair = tuple[int, int]


def near_pairs(prints: Sequence[bytes], others: Sequence[bytes] = ()) -> list[Pair] | None:
    """Pairs (i, j), i < j, of pictures that are near, by their `Facts.prints`; sorted. Empty ones are near to none.

    `others` have one hash each, not turned, and are counted on from the end of `prints`; only pairs of one of each kind
    are looked for among them. None where so many are near that nothing is told apart.
    """
    places = np.array([place for place, one in enumerate(prints) if one], np.int64)
    if not len(places):
        return []
    turned = np.frombuffer(b"".join(prints[place] for place in places), np.uint64).reshape(-1, len(ANGLES), _WORDS)
    upright = np.concatenate([turned[:, 0], np.frombuffer(b"".join(others), np.uint64).reshape(-1, _WORDS)])
    numbers = np.concatenate([places, len(prints) + np.arange(len(others))])
    most = _MOST_PAIRS_AN_IMAGE * len(places)
    found: set[Pair] = set()
    blocks = range(0, len(places), _BLOCK)
    with ThreadPoolExecutor(processors()) as pool:
        for pairs in in_order(pool, lambda start: list(_pairs(turned, upright, start)), blocks, ahead=8):
            for i, j in pairs:
                found.add((int(min(numbers[i], numbers[j])), int(max(numbers[i], numbers[j]))))
            if len(found) > most:
                return None
    return sorted(found)


def _pairs(turned: np.ndarray, upright: np.ndarray, start: int) -> Iterator[Pair]:
    """Pairs of a block of pictures, at any angle, with all as they are."""
    block = turned[start : start + _BLOCK]
    for angle in range(len(ANGLES)):
        own = block[:, angle, _TELLING, None].copy()
        # Upright with upright is the same both ways.
        for first in range(start if angle == 0 else 0, len(upright), _COLUMNS):
            columns = upright[first : first + _COLUMNS]
            bits = np.bitwise_count(own ^ columns[:, _TELLING].copy())
            rows, others = np.divmod(np.flatnonzero(bits <= MOST_BITS), len(columns))
            apart = np.bitwise_count(block[rows, angle] ^ columns[others]).sum(axis=1, dtype=np.int64)
            others += first
            keep = (apart <= MOST_BITS) & (rows + start != others)
            yield from zip((rows[keep] + start).tolist(), others[keep].tolist(), strict=True)
