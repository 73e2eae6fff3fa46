"""The command `pipeline`: what does a change ask for, and do it."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import command_line, print_json, progress_console, run
from cli.flags import with_flags
from pipeline.options import Asked, Json, Key, RunsFolder

if TYPE_CHECKING:
    from pipeline.execution import Execution

app = command_line(
    "pipeline",
    "Plans from the build graph which models a change trains, retrains or tests, and runs the plan.",
    [
        "./pants run src/python/pipeline -- plan --since HEAD~1",
        "./pants run src/python/pipeline -- run --since origin/main --executor local",
        "./pants run src/python/pipeline -- runs resume KEY",
        "./pants run src/python/pipeline -- watch --remote origin --branch main",
        "./pants run src/python/pipeline -- run --since HEAD~1 --only unit-tests",
        "./pants run src/python/pipeline -- run --since HEAD --demand retrain --why 'new images'",
    ],
)

runs_app = command_line(
    "runs",
    "Lists runs, shows one, resumes an interrupted one.",
    [
        "./pants run src/python/pipeline -- runs list",
        "./pants run src/python/pipeline -- runs show 1a2b3c",
        "./pants run src/python/pipeline -- runs resume 1a2b3c",
    ],
)
app.add_typer(runs_app)


@app.command()
@with_flags
def plan(flags: Asked) -> None:
    """Show each model's pipeline for a change, the reason, and the affected targets."""
    from pipeline import changes, steps
    from pipeline import plan as planning

    root = changes.repository_root(Path.cwd())
    question = planning.Question(
        flags.since,
        flags.model,
        flags.demand,
        flags.why,
        _absolute(flags.registry),
        again=flags.again,
        or_everything=flags.or_everything,
    )
    made = planning.make(root, question, _say())
    if flags.as_json:
        models = [planned.as_json() | {"steps": steps.of_model(planned)} for planned in made.models]
        of_all = {"steps": steps.of_plan(made), "checks": steps.of_checks(made)}
        print_json(made.as_json() | of_all | {"models": models})
        return
    typer.echo(f"pipeline: {made.pipeline or 'none'}")
    typer.echo(f"reason:   {made.reason}")
    for planned in made.models:
        typer.echo(f"{planned.name}: {planned.pipeline or 'nothing'}: {planned.reason}")
    for kind, addresses in made.affected.items():
        typer.echo(f"{kind + ':':9} {len(addresses)} affected")
        for address in addresses:
            typer.echo(f"          {address}")


@app.command("run")
@with_flags
def run_command(
    flags: Asked,
    executor: Annotated[
        str, typer.Option(help="Where steps run: `local` (processes), `docker` (containers) or `kubernetes` (Jobs).")
    ] = "local",
    dataset: Annotated[str | None, typer.Option(help="The dataset's folder, or `sample`; of all models.")] = None,
    build: Annotated[
        bool,
        typer.Option(
            help="Build the steps' images and those affected first, rather than take them as they are; with "
            "`kubernetes` the steps' alone, and push them."
        ),
    ] = True,
    check: Annotated[
        bool,
        typer.Option(
            help="Lint all code, test and package what is affected, beside the training; --no-check is the quick mode "
            "for trying things by hand: its versions are recorded as unchecked."
        ),
    ] = True,
    checked: Annotated[
        bool, typer.Option("--checked", help="The checks have run before, as in a stage of a build.")
    ] = False,
    runs: RunsFolder = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="STEP", help="Only this step, if it is in the plan; `notify`, the last, ends the run."),
    ] = None,
    parallel: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Models at a time.  [default: 1, or all of them with `kubernetes`]"),
    ] = None,
) -> None:
    """Plan, check what is affected, train, retrain or test each model, and mail its owner."""
    from pipeline import changes
    from pipeline import plan as planning
    from pipeline.execution import carry_out
    from pipeline.request import Request

    root = changes.repository_root(Path.cwd())
    request = Request(
        flags.since,
        executor,
        _absolute(flags.registry),
        _absolute(dataset),
        build,
        check,
        only,
        flags.demand,
        flags.why,
        flags.model,
        parallel,
        flags.again,
        flags.or_everything,
        checked,
    )
    request.must_be_possible()
    say, folder = _say(), _runs_folder(root, runs)
    made = planning.make(root, request.question, say)
    for planned in made.models:
        if planned.owed and not planned.pipeline:
            say(f"{planned.name}: {planned.reason}")
    if not made.asked:
        say(f"no model work: {made.reason}")
    _tell(carry_out(root, folder, request, made, say), folder, flags.as_json)


@app.command()
def watch(
    remote: Annotated[str, typer.Option(help="A remote of this repository, by its name.")] = "origin",
    branch: Annotated[str, typer.Option(help="The branch of it to watch.")] = "main",
    interval: Annotated[float, typer.Option(min=1, help="Seconds between two looks at the remote.")] = 30,
    executor: Annotated[str, typer.Option(help="Where steps run, as with `run`.")] = "local",
    registry: Annotated[str | None, typer.Option(help="The registry: a folder, or gs://BUCKET/FOLDER.")] = None,
    dataset: Annotated[str | None, typer.Option(help="The dataset's folder, or `sample`.")] = None,
    once: Annotated[
        bool, typer.Option(help="Look once, run at most once, and exit with that run's code: for cron.")
    ] = False,
) -> None:
    """Run the pipeline for each new commit of a remote's branch, as a build server would, until stopped."""
    import settings as settings_module
    from pipeline import changes
    from pipeline.remote import Branch
    from pipeline.watch import Watch

    root = changes.repository_root(Path.cwd())
    settings = settings_module.load(root)
    # The checkout is thrown away at will: registry, mails and runs belong to the repository around it.
    os.environ.setdefault("TRAINYARD_MAIL_OUTBOX", settings.mail.outbox)
    options = ["--executor", executor, "--registry", _absolute(registry) or settings.registry.uri]
    options += ["--runs", str(_runs_folder(root, None))]
    if dataset:
        options += ["--dataset", str(_absolute(dataset))]

    def command(checkout: Path, base: str) -> list[str]:
        # The branch may have been pushed anew, and nobody is there to correct the revision.
        revision = [f"--since={base}", "--or-everything"]
        return [str(checkout / "pants"), "run", "src/python/pipeline", "--", "run", *revision, *options]

    console = progress_console()

    def say(text: str) -> None:
        console.print(f"{time.strftime('%H:%M:%S')} {text}", markup=False, soft_wrap=True)

    watching = Watch(root / ".trainyard" / "watch", Branch(root, remote, branch), command, interval, say)
    if once:
        raise SystemExit(watching.once())
    say(f"Watching {branch} of {remote} every {interval:g} seconds; ctrl-C ends it.")
    watching.run()


@runs_app.command("list")
def list_runs(runs: RunsFolder = None, as_json: Json = False) -> None:
    """List all runs, the newest first."""
    from pipeline import changes, runs_view
    from pipeline.runs import Runs

    found = Runs(_runs_folder(changes.repository_root(Path.cwd()), runs)).all()
    if as_json:
        print_json([kept.as_json() for kept in found])
    else:
        typer.echo(runs_view.table(found))


@runs_app.command()
def show(key: Key, runs: RunsFolder = None, as_json: Json = False) -> None:
    """Show a run: who asked for what, each step's time, and where its artifacts lie."""
    from pipeline import changes, runs_view
    from pipeline.runs import Runs

    kept = Runs(_runs_folder(changes.repository_root(Path.cwd()), runs)).find(key)
    if as_json:
        print_json(kept.as_json())
    else:
        typer.echo(runs_view.page(kept))


@runs_app.command()
def resume(key: Key, runs: RunsFolder = None, as_json: Json = False) -> None:
    """Resume a run from its first unfinished step, with the original plan and arguments."""
    from pipeline import changes
    from pipeline.execution import carry_out
    from pipeline.request import Request
    from pipeline.runs import Runs

    root = changes.repository_root(Path.cwd())
    kept = Runs(_runs_folder(root, runs)).find(key)
    kept.must_be_resumable()
    # What the revision stood for may have moved.
    request, folder = Request.from_json(kept.state.arguments or {}), kept.folder.parent
    _tell(carry_out(root, folder, request, kept.state.planned, _say(), resumed=kept.key), folder, as_json)


def _absolute(text: str | None) -> str | None:
    from contracts import location
    from settings import BUILT_IN_DATASETS

    if text is None or text in BUILT_IN_DATASETS:
        return text
    place = location.parse(text)
    return str(place.path.resolve()) if isinstance(place, location.Local) else text


def _runs_folder(root: Path, runs: str | None) -> Path:
    return Path(runs).resolve() if runs else root / ".trainyard" / "runs"


def _say() -> Callable[[str], None]:
    console = progress_console()
    return lambda text: console.print(text, markup=False, soft_wrap=True)


def _tell(ended: "Execution", folder: Path, as_json: bool) -> None:
    """Says how a request ended.

    Raises:
        TrainyardError: it did not end well.
    """
    from pipeline import summary

    say = _say()
    for line in summary.lines(ended, folder):
        say(line)
    if as_json:
        print_json(ended.as_json())
    if ended.failure:
        raise ended.failure


if __name__ == "__main__":
    run(app)
