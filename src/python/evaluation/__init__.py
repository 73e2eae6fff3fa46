"""Metrics of a classifier's answers; the same figures at training, in the gate and over the wire."""

from evaluation.judgement import Judgement, judge
from evaluation.metrics import measure
from evaluation.report import Account
from evaluation.temperature import fitted, scaled

__all__ = ["Account", "Judgement", "fitted", "judge", "measure", "scaled"]
