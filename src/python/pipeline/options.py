"""The flags that the verbs of `pipeline` share. Imports nothing heavy: --help must be quick."""

from dataclasses import dataclass
from typing import Annotated

import typer

Since = Annotated[
    str,
    typer.Option(
        "--since",
        metavar="REV",
        help="The revision to compare the working tree with: a branch at the commit where HEAD left it, a commit as it "
        "is, nothing (or zeros) for everything. A model whose pipeline ran before is compared with that run's commit.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, last.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The run's key, or its beginning: see `runs list`.")]
ModelName = Annotated[str | None, typer.Option("--model", "--model-name", help="Just this model.")]
Demand = Annotated[
    str,
    typer.Option(
        help="Run `train`, `retrain` or `test` whatever changed; of --model, or of [model] name in trainyard.toml."
    ),
]
RunsFolder = Annotated[
    str | None, typer.Option("--runs", metavar="DIR", help="Where runs are kept.  [default: .trainyard/runs]")
]
Why = Annotated[str, typer.Option(help="The reason, for the record and the mail.")]
Place = Annotated[str | None, typer.Option("--registry", help="The registry: a folder, or gs://BUCKET/FOLDER.")]
Again = Annotated[bool, typer.Option("--again", help="Repeat what has been done since REV.")]
OrEverything = Annotated[
    bool,
    typer.Option("--or-everything", help="Where REV is unknown here, plan everything; the default in CI."),
]


@dataclass(frozen=True)
class Asked:
    """The flags that plan and run share."""

    since: Since
    model: ModelName = None
    demand: Demand = ""
    why: Why = ""
    registry: Place = None
    again: Again = False
    or_everything: OrEverything = False
    as_json: Json = False
