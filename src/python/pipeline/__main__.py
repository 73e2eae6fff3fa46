"""The command `pipeline`: what does a change ask for, and do it."""

import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import Exit, TrainyardError, UsageError, command_line, print_json, progress_console, run

if TYPE_CHECKING:
    from settings import Settings

app = command_line(
    "pipeline",
    "Works out from the build graph what a change asks for, and does it.",
    [
        "./pants run src/python/pipeline -- plan --since HEAD~1",
        "./pants run src/python/pipeline -- run --since origin/main --executor local",
        "./pants run src/python/pipeline -- watch --remote origin --branch main",
        "./pants run src/python/pipeline -- run --since HEAD~1 --only unit-tests",
        "./pants run src/python/pipeline -- run --since HEAD --demand retrain --why 'new images'",
    ],
)

Since = Annotated[str, typer.Option("--since", metavar="REV", help="The revision to compare the working tree with.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, last.")]
Demand = Annotated[str, typer.Option(help="A pipeline to run whatever changed: `train`, `retrain` or `test`.")]
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
        str, typer.Option(help="Where steps run: `local` (processes) or `docker` (containers).")
    ] = "local",
    registry: Annotated[str | None, typer.Option(help="The registry's folder.")] = None,
    dataset: Annotated[str | None, typer.Option(help="The dataset's folder, or `sample`.")] = None,
    build: Annotated[
        bool, typer.Option(help="With `docker`: build the steps' images first, rather than take them as they are.")
    ] = True,
    check: Annotated[bool, typer.Option(help="Lint all code, test and package what is affected, first.")] = True,
    runs: Annotated[
        str | None, typer.Option(metavar="DIR", help="Where runs are kept.  [default: .trainyard/runs]")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="STEP", help="Just this step, if the plan asks for it; `notify`, the last, ends the run."),
    ] = None,
    demand: Demand = "",
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Plan, check what is affected, then train, retrain or test, and mail the owner."""
    import settings as settings_module
    from pipeline import changes, pipelines, stages
    from pipeline import plan as planning
    from pipeline.containers import build_step, docker_launcher
    from pipeline.demand import demanded
    from pipeline.runner import Run, said
    from pipeline.steps import pants_launcher

    stages.known(only)
    if executor not in ("local", "docker"):
        raise UsageError(f"Executor {executor!r} is not known; use `local` or `docker`.")
    root = changes.repository_root(Path.cwd())
    settings = settings_module.load(root)
    settings = settings.model_copy(
        update={
            "registry": settings.registry.model_copy(update={"uri": _absolute(registry) or settings.registry.uri}),
            "dataset": settings.dataset.model_copy(update={"uri": _absolute(dataset) or settings.dataset.uri}),
        }
    )
    made = demanded(planning.make(root, since), demand, why)
    console = progress_console()
    console.print(f"[bold]{made.pipeline or 'no model work'}[/bold]: {made.reason}", soft_wrap=True)
    if only and only not in stages.names(root, made):
        console.print(f"{only}: the plan does not ask for it")
        if as_json:
            print_json(made.as_json() | {"exit_code": Exit.OK, "version": None, "mail": None})
        return
    key = _key(root, settings, made.pipeline, executor)
    current = Run(
        Path(runs).resolve() if runs else root / ".trainyard" / "runs",
        key,
        {"plan": made.as_json(), "executor": executor},
        console,
    )
    outcome = pipelines.Outcome(Exit.OK, None, None)
    before = [step for step in stages.checks(root, made) if only in (None, step.name)] if check else []
    launcher = pants_launcher(root)
    if executor == "docker":
        launcher = docker_launcher(settings, key, root / "trainyard.toml")
        if made.pipeline and build and only not in (*stages.CHECKS, "notify"):
            before.append(build_step(root, made.pipeline))
    for step in before:
        if code := current.step(step)["exit_code"]:
            # A failed check is a failed gate; a machine that lacks something is not.
            kept = Exit.INFRASTRUCTURE if code == Exit.INFRASTRUCTURE else Exit.GATE
            outcome = pipelines.Outcome(kept, None, None)
            console.print(f"[red]{step.name} failed[/red]: {current.folder / (step.name + '.log')}")
            break
    if made.pipeline and outcome.exit_code == Exit.OK and only not in stages.CHECKS:
        outcome = pipelines.carry_out(made.pipeline, current, launcher, settings, made.reason, only=only)
    if only in (None, "notify"):
        current.end(outcome.exit_code)
    else:
        current.leave()
    if as_json:
        print_json(made.as_json() | {"exit_code": outcome.exit_code, "version": outcome.version, "mail": outcome.mail})
    else:
        console.print(f"version: {outcome.version or '-'}   mail: {outcome.mail or '-'}", soft_wrap=True)
    # The call that carried a step out has told how it ended; this one was for the mail, which went out.
    if outcome.exit_code != Exit.OK and only != "notify":
        last = current.state["steps"][-1]
        failure = TrainyardError(f"Step {last['name']} failed: {said(Path(last['log']))} (log: {last['log']})")
        failure.exit_code = Exit(outcome.exit_code) if outcome.exit_code in set(Exit) else Exit.INFRASTRUCTURE
        raise failure


@app.command()
def watch(
    remote: Annotated[str, typer.Option(help="A remote of this repository, by its name.")] = "origin",
    branch: Annotated[str, typer.Option(help="The branch of it to watch.")] = "main",
    interval: Annotated[float, typer.Option(min=1, help="Seconds between two looks at the remote.")] = 30,
    executor: Annotated[str, typer.Option(help="Where steps run, as with `run`.")] = "local",
    registry: Annotated[str | None, typer.Option(help="The registry's folder.")] = None,
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
    options += ["--runs", str(root / ".trainyard" / "runs")]
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


def _absolute(location: str | None) -> str | None:
    if location is None or location == "sample" or "://" in location:
        return location
    return str(Path(location).resolve())


def _key(root: Path, settings: "Settings", pipeline: str | None, executor: str) -> str:
    """Names a run by all that goes into it, so that only a run of the very same is ever continued."""
    from pipeline import changes

    parts = [settings.model_dump_json(), pipeline, executor, changes.state_of(root), _files_of(settings.dataset.uri)]
    return f"{(changes.head(root) or 'none')[:12]}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"


def _files_of(dataset: str) -> list[tuple[str, int, int]]:
    """Name, size and time of every file of a dataset's folder: it changes when an image does."""
    folder = Path(dataset)
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]


if __name__ == "__main__":
    run(app)
