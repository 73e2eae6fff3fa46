"""A labelled folder of images: found, checked, fingerprinted, split; and the sample dataset that is drawn."""

from cli.errors import DataRefused
from dataset.check import Checked, Finding, Limits, check, scan
from dataset.folder import find
from dataset.model import Dataset, LabelledImage, Unreadable
from dataset.phantom import write_sample
from dataset.pointer import locate, open_dataset
from dataset.skew import Previous
from dataset.split import Split, lineage

__all__ = [
    "Checked",
    "DataRefused",
    "Dataset",
    "Finding",
    "LabelledImage",
    "Limits",
    "Previous",
    "Split",
    "Unreadable",
    "check",
    "find",
    "lineage",
    "locate",
    "open_dataset",
    "scan",
    "write_sample",
]
