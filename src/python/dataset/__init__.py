"""A labelled folder of images: found, checked, fingerprinted, split; and the sample dataset that is drawn."""

from cli.errors import DataRefused
from dataset.check import Checked, Limits, check, scan
from dataset.finding import Finding
from dataset.folder import find
from dataset.model import Dataset, LabelledImage, Unreadable
from dataset.phantom import write_sample
from dataset.pointer import examine, locate, open_dataset
from dataset.scan import Terms
from dataset.sides import Sides
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
    "Sides",
    "Split",
    "Terms",
    "Unreadable",
    "check",
    "examine",
    "find",
    "lineage",
    "locate",
    "open_dataset",
    "scan",
    "write_sample",
]
