"""All models at a glance."""

from dataclasses import asdict, dataclass
from pathlib import Path

from cli.errors import TrainyardError
from models.find import known
from models.model import Model
from registry import Registry


@dataclass(frozen=True)
class Row:
    model: str
    network: str
    dataset: str
    input: str
    production: int | None
    accuracy: float | None
    # The newest version, and its state.
    newest: int | None
    state: str
    # Why its registry can't be read.
    problem: str = ""

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def rows(start: Path, registry: str | None = None) -> list[Row]:
    """A row for each model; a registry that can't be read is told in its row, and keeps no other from being shown."""
    return [_row(model, registry or model.settings.registry.uri) for model in known(start)]


def _row(model: Model, registry: str) -> Row:
    shown = "rgb" if model.input.channels == 3 else "gray"
    about = {
        "model": model.name,
        "network": model.family or "its own",
        "dataset": model.settings.dataset.uri,
        "input": f"{model.input.size}x{model.input.size} {shown}",
    }
    try:
        opened = Registry.open(registry, model.name)
        records, stable = opened.records(), opened.serving().stable
    except TrainyardError as error:
        return Row(**about, production=None, accuracy=None, newest=None, state="", problem=str(error))
    serving = next((record for record in records if record.version == stable), None)
    test = serving.metrics.test if serving else None
    newest = records[-1] if records else None
    return Row(
        **about,
        production=stable,
        accuracy=test.accuracy if test else None,
        newest=newest.version if newest else None,
        state=newest.state if newest else "",
    )


def table(found: list[Row]) -> str:
    lines = [("model", "production", "accuracy", "newest", "network", "input", "dataset")]
    for row in found:
        accuracy = "-" if row.accuracy is None else f"{row.accuracy:.3f}"
        newest = "-" if row.newest is None else f"{row.newest} ({row.state})"
        place = Path(row.dataset)
        dataset = str(place.relative_to(Path.cwd())) if place.is_relative_to(Path.cwd()) else row.dataset
        lines.append((row.model, str(row.production or "-"), accuracy, newest, row.network, row.input, dataset))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*text, *(f"{row.model}: {row.problem}" for row in found if row.problem)])
