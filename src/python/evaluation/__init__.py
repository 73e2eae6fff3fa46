"""Metrics of a classifier's answers; the same figures at training, in the gate and over the wire."""

from evaluation.metrics import measure

__all__ = ["measure"]
