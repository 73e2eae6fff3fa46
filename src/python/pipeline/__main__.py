"""The command `pipeline`: what does a change ask for, and do it."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import command_line, print_json, progress_console, run

if TYPE_CHECKING:
    from pipeline.conduct import Ended

app = command_line(
    "pipeline",
    "Works out from the build graph what a change asks for, and does it.",
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
    "Shows what ran and how it ended, and goes on with it.",
    [
        "./pants run src/python/pipeline -- runs list",
        "./pants run src/python/pipeline -- runs show 1a2b3c",
        "./pants run src/python/pipeline -- runs resume 1a2b3c",
    ],
)
app.add_typer(runs_app)

Since = Annotated[str, typer.Option("--since", metavar="REV", help="The revision to compare the working tree with.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, last.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The run's key, or its beginning: see `runs list`.")]
Demand = Annotated[str, typer.Option(help="A pipeline to run whatever changed: `train`, `retrain` or `test`.")]
RunsFolder = Annotated[
    str | None, typer.Option("--runs", metavar="DIR", help="Where runs are kept.  [default: .trainyard/runs]")
]
Why = Annotated[str, typer.Option(help="Why it is asked for; the record and the mail say so.")]


@app.command()
def plan(since: Since, demand: Demand = "", why: Why = "", as_json: Json = False) -> None:
    """Say which pipeline a change asks for, why, and which targets it affects."""
    from pipeline import changes, stages
    from pipeline import plan as planning
    from pipeline.demand import demanded

    root = changes.repository_root(Path.cwd())
    made = demanded(planning.make(root, since), demand, why)
    if as_json:
        print_json(made.as_json() | {"steps": stages.names(root, made)})
        return
    typer.echo(f"pipeline: {made.pipeline or 'none'}")
    typer.echo(f"reason:   {made.reason}")
    for kind, addresses in made.affected.items():
        typer.echo(f"{kind + ':':9} {len(addresses)} affected")
        for address in addresses:
            typer.echo(f"          {address}")


@app.command("run")
def run_command(
    since: Since,
    executor: Annotated[
        str, typer.Option(help="Where steps run: `local` (processes), `docker` (containers) or `kubernetes` (Jobs).")
    ] = "local",
    registry: Annotated[str | None, typer.Option(help="The registry: a folder, or gs://BUCKET/FOLDER.")] = None,
    dataset: Annotated[str | None, typer.Option(help="The dataset's folder, or `sample`.")] = None,
    build: Annotated[
        bool,
        typer.Option(
            help="Build the steps' images and those affected first, rather than take them as they are; with "
            "`kubernetes` the steps' alone, and push them."
        ),
    ] = True,
    check: Annotated[bool, typer.Option(help="Lint all code, test and package what is affected, first.")] = True,
    runs: RunsFolder = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="STEP", help="Just this step, if the plan asks for it; `notify`, the last, ends the run."),
    ] = None,
    demand: Demand = "",
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Plan, check what is affected, then train, retrain or test, and mail the owner."""
    from pipeline import changes
    from pipeline.conduct import Request, conduct, request_plan

    root = changes.repository_root(Path.cwd())
    request = Request(since, executor, _absolute(registry), _absolute(dataset), build, check, only, demand, why)
    _tell(conduct(root, _runs_folder(root, runs), request, request_plan(root, request)), as_json)


@app.command()
def watch(
    remote: Annotated[str, typer.Option(help="A remote of this repository, by its name.")] = "origin",
    branch: Annotated[str, typer.Option(help="The branch of it to watch.")] = "main",
    interval: Annotated[float, typer.Option(min=1, help="Seconds between two looks at the remote.")] = 30,
    executor: Annotated[str, typer.Option(help="Where steps run, as with `run`.")] = "local",
    registry: Annotated[str | None, typer.Option(help="The registry: a folder, or gs://BUCKET/FOLDER.")] = None,
    dataset: Annotated[str | None, typer.Option(help="The dataset's folder, or `sample`.")] = None,
    once: Annotated[bool, typer.Option(help="Look once, do at most one run, and end as it ends: for cron.")] = False,
) -> None:
    """Do for each new commit of a remote's branch what a build server would, until stopped."""
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
        return [str(checkout / "pants"), "run", "src/python/pipeline", "--", "run", f"--since={base}", *options]

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
    """Go on with a run from its first unfinished step."""
    from pipeline import changes
    from pipeline.conduct import Request, conduct
    from pipeline.plan import Plan
    from pipeline.runs import Runs

    root = changes.repository_root(Path.cwd())
    kept = Runs(_runs_folder(root, runs)).find(key)
    kept.must_be_resumable()
    # By the plan of then: what the revision stood for may have moved.
    request, made = Request(**kept.state["arguments"]), Plan(**kept.state["plan"])
    _tell(conduct(root, kept.folder.parent, request, made, resumed=kept.key), as_json)


def _absolute(location: str | None) -> str | None:
    from settings import BUILT_IN_DATASETS

    if location is None or location in BUILT_IN_DATASETS or "://" in location:
        return location
    return str(Path(location).resolve())


def _runs_folder(root: Path, runs: str | None) -> Path:
    return Path(runs).resolve() if runs else root / ".trainyard" / "runs"


def _tell(ended: "Ended", as_json: bool) -> None:
    """Says how a run ended.

    Raises:
        TrainyardError: it did not end well.
    """
    if as_json:
        print_json(ended.as_json())
    else:
        version, mail = ended.outcome.version, ended.outcome.mail
        progress_console().print(f"version: {version or '-'}   mail: {mail or '-'}", soft_wrap=True)
    if ended.failure:
        raise ended.failure


if __name__ == "__main__":
    run(app)
