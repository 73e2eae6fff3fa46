"""What a benchmark claims: a figure, what is wanted of it, and whether that holds."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from cli import print_json

_HOLDS = {">=": operator.ge, "<=": operator.le, "<": operator.lt, "==": operator.eq}

AsJson = Annotated[bool, typer.Option("--json", help="Print the claims as one line of JSON, last.")]


@dataclass(frozen=True)
class Claim:
    name: str
    value: float
    # An operator and a number: "<= 3".
    wanted: str
    unit: str = ""

    @property
    def holds(self) -> bool:
        sign, limit = self.wanted.split()
        return bool(_HOLDS[sign](self.value, float(limit)))


def tell(claims: Sequence[Claim], as_json: bool) -> None:
    """A line for each, and all as one line of JSON where that is asked for."""
    typer.echo("")
    for claim in claims:
        verdict = "holds" if claim.holds else "DOES NOT HOLD"
        typer.echo(f"{claim.name}: {shown(claim)} (wanted {claim.wanted}): {verdict}")
    if as_json:
        rows = [
            {"name": c.name, "value": c.value, "wanted": c.wanted, "unit": c.unit, "holds": c.holds} for c in claims
        ]
        print_json({"claims": rows})


def shown(claim: Claim) -> str:
    return f"{round(claim.value, 3):g} {claim.unit}".strip() if claim.value < 1e5 else f"{claim.value:.0f} {claim.unit}"
