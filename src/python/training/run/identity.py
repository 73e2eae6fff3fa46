"""Which runs are the same one, so that an interrupted one can be resumed, and where they keep their files."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from cli.home import home_expanded
from contracts import location
from contracts.location import InBucket
from contracts.record import Record
from dataset import Dataset
from training.commands.options import Options
from training.family import Family
from training.networks import beside
from training.parameters import Parameters
from training.run.provenance import components

_FOLDER = "runs"
_TRAINING = Path(__file__).parents[1]
# Beside the model code, what decides which weights a run comes to.
_SEARCH = ("run/search.py", "run/suggestions.py")
# Beside the model code in its folder.
_COMMANDS = ("__init__.py", "train.py", "retrain.py")


def run_folder(options: Options) -> Path:
    """The folder that holds a folder for every run: beside the models if they are on this machine's disks."""
    if options.work is not None:
        return home_expanded(options.work)
    place = location.parse(options.registry, "registry")
    if isinstance(place, InBucket):
        return Path(".trainyard") / _FOLDER / options.model.name
    return place.path / options.model.name / _FOLDER


def identity(
    options: Options,
    family: Family,
    data: Dataset,
    trials: Sequence[Parameters],
    parent: Record | None,
    pretrained: str | None,
) -> str:
    """The same for two runs that come to the same weights, if time lets them. `pretrained` is the digest of weights
    from elsewhere that they begin with."""
    parts = {
        "parent": parent.version if parent else None,
        "dataset": data.fingerprint,
        "split": {image.sha256: image.split for image in data.images},
        "trials": [trial.as_dict() for trial in trials],
        "limits": [options.max_trials, options.max_minutes, options.tune],
        "gates": [options.min_accuracy, options.min_recall, options.tolerance],
        "seed": options.seed,
        "pretrained": pretrained,
        "components": components(),
        "code": [hashlib.sha256(file.read_bytes()).hexdigest() for file in sources(family)],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def sources(family: Family) -> list[Path]:
    """The files that decide which weights a run comes to."""
    shared = [file for file in sorted(_TRAINING.glob("*.py")) if file.name not in _COMMANDS]
    networks = sorted((_TRAINING / "networks").glob("*.py"))
    own = [] if family.file is None else beside.sources(family.file)
    return [*shared, *networks, *own, *(_TRAINING / name for name in _SEARCH)]
