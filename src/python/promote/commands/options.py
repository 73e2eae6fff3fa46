"""The flags that verbs share. Imports nothing heavy: --help must be quick."""

from dataclasses import dataclass
from typing import Annotated

import typer

Registry = Annotated[str | None, typer.Option("--registry", help="The registry: a folder, or gs://BUCKET/FOLDER.")]
Model = Annotated[
    str | None,
    typer.Option("--model", "--model-name", metavar="NAME", help="The model. Default: [model] name in trainyard.toml."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, last.")]
PublicKey = Annotated[
    list[str] | None,
    typer.Option(
        "--public-key", metavar="FILE", help="A public key in PEM to trust, or a folder of NAME.pub; repeat it."
    ),
]
Pod = Annotated[
    list[str] | None,
    typer.Option(
        "--pod", metavar="HOST:PORT", help="An adapter's gRPC address; repeat it. A name may stand for several."
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0.1,
        help="Seconds that pods have to load, and again to switch. Default: [serving] rollover_timeout.",
    ),
]
Approver = Annotated[str | None, typer.Option("--approver", help="Who decided; default: who calls.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the journal and the mail.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@dataclass(frozen=True)
class Changing:
    """The flags of the verbs that change production."""

    yes: Yes = False
    approver: Approver = None
    reason: Reason = ""
    pod: Pod = None
    timeout: Timeout = None
    public_key: PublicKey = None
    registry: Registry = None
    model: Model = None
    as_json: AsJson = False
