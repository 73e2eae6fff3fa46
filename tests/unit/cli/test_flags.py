"""Commands share flags by a dataclass."""

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from cli.flags import with_flags


@dataclass(frozen=True)
class Place:
    room: Annotated[str, typer.Option("--room", "--chamber", help="Where.")] = "hall"
    floor: Annotated[int, typer.Option(min=0)] = 0


app = typer.Typer()
seen: list[tuple[Place, bool, str]] = []


@app.command()
@with_flags
def sweep(*, wet: bool = False, place: Place, tool: str = "broom") -> None:
    """Sweep a room."""
    seen.append((place, wet, tool))


def answer(*arguments: str) -> tuple[Place, bool, str] | str:
    seen.clear()
    result = CliRunner().invoke(app, [*arguments])
    if result.exit_code == 2:
        return "refused"
    return seen[0] if seen else result.output


def test_fields_are_flags_beside_the_commands_own():
    assert answer() == (Place("hall", 0), False, "broom")
    assert answer("--chamber", "loft", "--floor", "3", "--wet") == (Place("loft", 3), True, "broom")
    assert answer("--floor", "-1") == "refused"


def test_help_shows_them_in_their_place():
    told = answer("--help")
    assert [told.index(flag) for flag in ("--wet", "--chamber", "--floor", "--tool")] == sorted(
        told.index(flag) for flag in ("--wet", "--chamber", "--floor", "--tool")
    )
    assert "Sweep a room." in told and "Where." in told


def test_python_calls_it_by_name():
    seen.clear()
    sweep(room="attic", tool="mop")
    assert seen == [(Place("attic", 0), False, "mop")]
