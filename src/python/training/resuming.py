"""Which runs are the same one, where they keep what they need to go on, and why one was cut off."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from cli import InfrastructureError
from cli.home import home_expanded
from contracts.record import Record
from dataset import Dataset
from training.loop import Stopped
from training.options import Options
from training.parameters import Parameters
from training.provenance import components
from training.team import Team

_FOLDER = "runs"
# A full disk or memory, and storage that fails; other errors of TensorFlow are mistakes.
_MAY_PASS = (
    tf.errors.AbortedError,
    tf.errors.DataLossError,
    tf.errors.DeadlineExceededError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnavailableError,
)
# Model code, but for the export: what decides which weights a run comes to.
_SOURCES = (
    *("augmentation", "backbone", "feed", "kernel_machine", "loop", "model"),
    *("outliers", "pace", "parameters", "space", "state", "step", "trials"),
)


def run_folder(options: Options) -> Path:
    """The folder that holds a folder for every run: beside the models if they are on this machine's disks."""
    if options.work is not None:
        return home_expanded(options.work)
    if "://" in options.registry:
        return Path(".trainyard") / _FOLDER / options.model
    return home_expanded(options.registry) / options.model / _FOLDER


def identity(
    options: Options, data: Dataset, trials: Sequence[Parameters], parent: Record | None, weights: str | None
) -> str:
    """The same for two runs that come to the same weights, if time lets them. `weights` are those of a backbone."""
    here = Path(__file__).parent
    parts = {
        "parent": parent.version if parent else None,
        "dataset": data.fingerprint,
        "split": {image.sha256: image.split for image in data.images},
        "trials": [trial.as_dict() for trial in trials],
        "limits": [options.max_trials, options.max_minutes, options.tune],
        "gates": [options.min_accuracy, options.min_recall, options.tolerance],
        "seed": options.seed,
        "weights": weights,
        "components": components(),
        "code": [hashlib.sha256((here / f"{name}.py").read_bytes()).hexdigest() for name in _SOURCES],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def cut_off(error: BaseException, team: Team) -> str | None:
    """What kept a run from going on, as the beginning of a sentence; None where another try would not help."""
    if isinstance(error, Stopped):
        return f"Terminated {error}"
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"The disk failed: {error.strerror or error}{where}"
    if isinstance(error, tf.errors.OpError) and not team.alone:
        return f"Another process of the training went away, or can't be reached ({type(error).__name__})"
    if isinstance(error, _MAY_PASS):
        return f"TensorFlow failed: {error.message.splitlines()[0]}"
    if isinstance(error, InfrastructureError):
        return str(error).rstrip(".")
    return None
