"""How often models were judged on the same held-out images: each time makes the best result look better by chance."""

from collections.abc import Iterable

from contracts.record import Record


def times_judged(record: Record, digest: str, others: Iterable[Record]) -> int:
    """How many versions were judged on the images with this digest: `record`'s and `others`, rejected ones too."""
    return 1 + sum(_judged(other, record, digest) for other in others if other.version != record.version)


def _judged(other: Record, record: Record, digest: str) -> bool:
    if other.metrics.test is None:
        return False
    if other.held_out or not (other.dataset and record.dataset):
        return other.held_out == digest
    # A record from before the digest was told: the same images by the same rule were held out alike.
    return (other.dataset.fingerprint, other.dataset.splits) == (record.dataset.fingerprint, record.dataset.splits)
