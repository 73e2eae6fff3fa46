"""Metrics of a classifier's answers; the same figures at training, in the gate and over the wire."""

from evaluation.judgement import Judgement, judge
from evaluation.metrics import measure
from evaluation.paired import Comparison, allowed_for_chance, behind, compare, paired
from evaluation.report import Account
from evaluation.temperature import fitted, scaled

__all__ = [
    "Account",
    "Comparison",
    "Judgement",
    "allowed_for_chance",
    "behind",
    "compare",
    "fitted",
    "judge",
    "measure",
    "paired",
    "scaled",
]
