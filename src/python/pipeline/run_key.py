"""Names runs by all that goes into them, so that only a run of the very same is ever continued."""

import hashlib
from pathlib import Path

from contracts.plan import ModelPlan, Plan
from pipeline import changes
from settings import Settings


def of_model(root: Path, settings: Settings, planned: ModelPlan, executor: str) -> str:
    """The key of a model's run."""
    parts = [settings.model_dump_json(), planned.pipeline, executor, changes.state_of(root)]
    return _key(root, [*parts, _files_of(settings.dataset.uri)])


def of_checks(root: Path, settings: Settings, made: Plan, executor: str) -> str:
    """The key of the run of the checks that `made` asks for."""
    asked = sorted((model.name, model.pipeline or "") for model in made.asked)
    parts = [settings.model_dump_json(), asked, executor, changes.state_of(root)]
    return _key(root, [*parts, sorted(made.affected.items())])


def _key(root: Path, parts: list[object]) -> str:
    return f"{(changes.head(root) or 'none')[:12]}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"


def _files_of(dataset: str) -> list[tuple[str, int, int]]:
    """Name, size and time of every file of a dataset's folder: it changes when an image does."""
    folder = Path(dataset)
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
