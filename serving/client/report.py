"""Results for people and for spreadsheets."""

import csv
import sys
from collections.abc import Iterable

from rich.console import Console, Group
from rich.progress import track
from rich.table import Table
from rich.text import Text

from serving.client.client import ServedModel
from serving.client.files import Outcome

_BAR_CELLS = 24
# Fewer files are done before a bar could be read.
_WORTH_A_BAR = 20


def with_progress(outcomes: Iterable[Outcome], total: int, console: Console) -> list[Outcome]:
    """All of `outcomes`; a long list shows how far it is, on `console`."""
    if total < _WORTH_A_BAR:
        return list(outcomes)
    return list(track(outcomes, "Classifying", total=total, console=console, transient=True))


def show(outcomes: list[Outcome]) -> None:
    """Each file with a bar for every class."""
    # No wrapping when the output goes to a file or another program.
    console = Console(highlight=False, soft_wrap=True)
    for outcome in outcomes:
        console.print(_block(outcome))


def _block(outcome: Outcome) -> Group:
    if outcome.prediction is None:
        return Group(Text(outcome.file, "bold"), Text(f"  {outcome.error}", "red"))
    answer = outcome.prediction
    width = max(map(len, answer.scores))
    lines = [Text.assemble((outcome.file, "bold"), (f"  (version {answer.version})", "dim"))]
    for label, probability in answer.scores.items():
        filled = round(probability * _BAR_CELLS)
        best = label == answer.label
        lines.append(
            Text.assemble(
                (f"  {label:<{width}} ", "bold" if best else ""),
                ("█" * filled, "green" if best else "blue"),
                ("░" * (_BAR_CELLS - filled), "dim"),
                f" {probability:6.1%}",
            )
        )
    return Group(*lines)


def write_csv(outcomes: list[Outcome]) -> None:
    """A row per file: file, label, version, error, then every class's probability."""
    answers = [outcome.prediction for outcome in outcomes if outcome.prediction]
    classes = sorted({label for answer in answers for label in answer.scores})
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["file", "label", "version", "error", *classes])
    for outcome in outcomes:
        answer = outcome.prediction
        if answer is None:
            writer.writerow([outcome.file, "", "", outcome.error, *[""] * len(classes)])
        else:
            scores = [answer.scores.get(label, "") for label in classes]
            writer.writerow([outcome.file, answer.label, answer.version, "", *scores])


def show_model(served: ServedModel) -> None:
    """The versions with their states and labels."""
    table = Table(title=f"Model {served.name}", title_justify="left")
    table.add_column("version", justify="right")
    table.add_column("state")
    table.add_column("label")
    for version, state in sorted(served.versions.items()):
        labels = [label for label, number in served.version_labels.items() if number == version]
        table.add_row(str(version), state, ", ".join(labels))
    console = Console(highlight=False)
    console.print(table)
    if served.labels:
        console.print(f"Classes: {', '.join(served.labels)}. Images: {_taken(served)}.")


def _taken(served: ServedModel) -> str:
    size = f"{served.image_size}x{served.image_size} pixels"
    if not served.channels:
        return size
    colour = "gray" if served.channels == 1 else "colour"
    shapes = {"stretch": "stretched", "pad": "with black bars", "crop": "the middle square"}
    return f"{size}, {colour}, oblong ones {shapes.get(served.oblong, served.oblong)}"
