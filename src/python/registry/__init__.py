"""The versions of a model: records, files, reports, and what is served. Imports no TensorFlow."""

from contracts.record import (
    ClassMetrics,
    Code,
    DatasetUsed,
    EpochMetrics,
    Golden,
    Metrics,
    MetricsBySplit,
    Record,
    SplitRule,
    Step,
    Trial,
    Verdict,
)
from registry.clock import utc_now
from registry.errors import BadName, Corrupt, Immutable, Tampered, UnknownVersion, Unsigned, WrongSignature
from registry.journal import Entry, Journal
from registry.keys import Keys
from registry.manifest import Difference, compare, manifest_of
from registry.registry import Registry
from registry.serving_config import PREVIOUS, STABLE, ServingState

__all__ = [
    "PREVIOUS",
    "STABLE",
    "BadName",
    "ClassMetrics",
    "Code",
    "Corrupt",
    "DatasetUsed",
    "Difference",
    "Entry",
    "EpochMetrics",
    "Golden",
    "Immutable",
    "Journal",
    "Keys",
    "Metrics",
    "MetricsBySplit",
    "Record",
    "Registry",
    "ServingState",
    "SplitRule",
    "Step",
    "Tampered",
    "Trial",
    "UnknownVersion",
    "Unsigned",
    "Verdict",
    "WrongSignature",
    "compare",
    "manifest_of",
    "utc_now",
]
