"""The command `models`: start a model, see all of them, and what is wrong with one."""

from pathlib import Path
from typing import Annotated

import typer

from cli import UsageError, command_line, print_json, progress_console, run

app = command_line(
    "models",
    "Starts a model of your own, lists all models, and checks one.",
    [
        "./pants run src/python/models -- new leaves --dataset ~/leaves --rgb",
        "./pants run src/python/models -- new leaves --dataset ~/leaves --rgb --own-network",
        "./pants run src/python/models -- list",
        "./pants run src/python/models -- check leaves",
    ],
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The model's name: lower-case letters, digits and '-'.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, last.")]


@app.command()
def new(
    name: Name,
    dataset: Annotated[
        str,
        typer.Option(
            metavar="DIR",
            help="Its images: a folder with one folder per class, gs://BUCKET/FOLDER, or a pointer of datasets/.",
        ),
    ],
    rgb: Annotated[bool, typer.Option("--rgb", help="The network sees colours; otherwise shades of gray.")] = False,
    own_network: Annotated[
        bool, typer.Option("--own-network", help="Write a network.py to change, in place of a family's network.")
    ] = False,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="Which images are one patient's: folder, pattern:REGEX or csv:FILE:IMAGE_COLUMN:GROUP_COLUMN. "
            "Default: [dataset] groups, and folder where `dataset import` laid them out so.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the folder of a new model below models/, and a pointer to its images below datasets/."""
    from cli.progress import shown
    from models.new import start

    with shown(progress_console(), "Images") as tell:
        made = start(Path.cwd(), name, dataset, rgb, own_network, tell, groups)
    if as_json:
        print_json({"model": made.name, "folder": str(made.folder), "files": [str(file) for file in made.files]})
    console = progress_console()
    for line in made.lines():
        console.print(line, markup=False, soft_wrap=True)


@app.command("list")
def list_models(
    registry: Annotated[str | None, typer.Option(help="The registry: a folder, or gs://BUCKET/FOLDER.")] = None,
    as_json: AsJson = False,
) -> None:
    """List all models, with what each is made from and what is in production."""
    from models.find import nowhere
    from models.listing import rows, table

    found = rows(Path.cwd(), registry)
    if as_json:
        print_json([row.as_json() for row in found])
    elif found:
        typer.echo(table(found))
    else:
        raise UsageError(f"There are no models: {nowhere(Path.cwd())}")


@app.command()
def check(name: Name, as_json: AsJson = False) -> None:
    """Say what is wrong with a model's folder: its files, its line in the build, its network."""
    from models.check import problems
    from models.new import after_check

    found = problems(name, Path.cwd())
    if as_json:
        print_json({"model": name, "problems": found})
    for problem in found[1:]:
        progress_console().print(problem, markup=False, soft_wrap=True)
    if found:
        more = f" (and {len(found) - 1} more, above)" if len(found) > 1 else ""
        raise UsageError(f"{found[0]}{more}")
    console = progress_console()
    console.print(f"{name}: no problems", markup=False)
    console.print(f"Next: {after_check(name)}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    run(app)
