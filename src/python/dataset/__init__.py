"""A labelled folder of images: found, checked, fingerprinted, split; and the sample dataset that is drawn."""

from cli.errors import DataRefused
from dataset.folder import find
from dataset.model import Dataset, LabelledImage, Unreadable
from dataset.phantom import write_sample
from dataset.pointer import locate, open_dataset
from dataset.scan import scan

__all__ = [
    "DataRefused",
    "Dataset",
    "LabelledImage",
    "Unreadable",
    "find",
    "locate",
    "open_dataset",
    "scan",
    "write_sample",
]
