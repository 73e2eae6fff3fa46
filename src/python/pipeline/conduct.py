"""Carries out a request: settings and plan to steps, steps to an outcome, all of it kept as a run."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import settings as settings_module
from cli import Exit, TrainyardError, UsageError, progress_console
from pipeline import changes, metadata, pipelines, stages
from pipeline import plan as planning
from pipeline.containers import build_step, docker_launcher
from pipeline.demand import demanded
from pipeline.jobs import kubernetes_launcher, push_step
from pipeline.plan import Plan
from pipeline.runner import Run, said
from pipeline.steps import pants_launcher
from settings import Settings

EXECUTORS = ("local", "docker", "kubernetes")


@dataclass(frozen=True)
class Request:
    """What `pipeline run` was asked for. A run keeps it, so that it can be resumed."""

    since: str
    executor: str = "local"
    # Absolute, or None for what the settings say.
    registry: str | None = None
    dataset: str | None = None
    build: bool = True
    check: bool = True
    only: str | None = None
    demand: str = ""
    why: str = ""

    def settings(self, root: Path) -> Settings:
        loaded = settings_module.load(root)
        return loaded.model_copy(
            update={
                "registry": loaded.registry.model_copy(update={"uri": self.registry or loaded.registry.uri}),
                "dataset": loaded.dataset.model_copy(update={"uri": self.dataset or loaded.dataset.uri}),
            }
        )


@dataclass(frozen=True)
class Ended:
    """How a request ended; `failure` where it did not end well."""

    plan: Plan
    outcome: pipelines.Outcome
    failure: TrainyardError | None = None

    def as_json(self) -> dict[str, Any]:
        return self.plan.as_json() | asdict(self.outcome)


def request_plan(root: Path, request: Request) -> Plan:
    """The plan for `request`.

    Raises:
        UsageError: it asks for something that there is not.
    """
    stages.known(request.only)
    if request.executor not in EXECUTORS:
        raise UsageError(f"Executor {request.executor!r} is not known; use `local`, `docker` or `kubernetes`.")
    return demanded(planning.make(root, request.since), request.demand, request.why)


def conduct(root: Path, folder: Path, request: Request, made: Plan, resumed: str | None = None) -> Ended:
    """Carries out plan `made`, and keeps the run in `folder`; `resumed` is the key of the run that is to go on.

    Raises:
        UsageError: the checkout is not what that run was about.
    """
    console, only = progress_console(), request.only
    console.print(f"[bold]{made.pipeline or 'no model work'}[/bold]: {made.reason}", soft_wrap=True)
    if only and only not in stages.names(root, made):
        console.print(f"{only}: the plan does not ask for it")
        return Ended(made, pipelines.Outcome(Exit.OK, None, None))
    settings = request.settings(root)
    key = key_of(root, settings, made.pipeline, request.executor)
    if resumed not in (None, key):
        raise UsageError(
            f"Run {resumed} was about other files, data or settings than what is here now; check out its commit "
            f"({resumed.split('-')[0]}) without changes, or start a new run."
        )
    launcher = pants_launcher(root)
    if request.executor == "docker":
        launcher = docker_launcher(settings, key, root / "trainyard.toml")
    details = {"plan": made.as_json(), "executor": request.executor, **metadata.of_call(root, asdict(request))}
    current = Run(folder, key, details, console, reopen=resumed is not None)
    outcome = pipelines.Outcome(Exit.OK, None, None)
    before = [step for step in stages.checks(root, made) if only in (None, step.name)] if request.check else []
    images = build_step(root, made.pipeline, made.affected.get("image", ())) if request.executor == "docker" else None
    if images and request.build and only not in (*stages.CHECKS, "notify"):
        before.append(images)
    if request.executor == "kubernetes" and made.pipeline:
        pushed = bool(request.build and settings.kubernetes.images)
        launcher = kubernetes_launcher(root, settings, key, current.folder, pushed)
        if pushed and only not in (*stages.CHECKS, "notify"):
            before.append(push_step(root, settings, made.pipeline, key))
    for step in before:
        if code := current.step(step)["exit_code"]:
            # A failed check is a failed gate; a machine that lacks something is not.
            kept = Exit.INFRASTRUCTURE if code == Exit.INFRASTRUCTURE else Exit.GATE
            outcome = pipelines.Outcome(kept, None, None)
            console.print(f"[red]{step.name} failed[/red]: {current.folder / (step.name + '.log')}")
            break
    if made.pipeline and outcome.exit_code == Exit.OK and only not in stages.CHECKS:
        outcome = pipelines.carry_out(made.pipeline, current, launcher, settings, made.reason, only=only)
    current.state |= metadata.of_results(current.state["steps"], settings, outcome.version, outcome.mail)
    if only in (None, "notify"):
        current.end(outcome.exit_code)
    else:
        current.leave()
    # The call that carried a step out has told how it ended; the one for the mail does not say it again.
    failed = outcome.exit_code != Exit.OK and only != "notify"
    return Ended(made, outcome, _failure(current.state["steps"][-1], outcome.exit_code) if failed else None)


def _failure(last: dict[str, Any], exit_code: int) -> TrainyardError:
    failure = TrainyardError(f"Step {last['name']} failed: {said(Path(last['log']))} (log: {last['log']})")
    failure.exit_code = Exit(exit_code) if exit_code in set(Exit) else Exit.INFRASTRUCTURE
    return failure


def key_of(root: Path, settings: Settings, pipeline: str | None, executor: str) -> str:
    """Names a run by all that goes into it, so that only a run of the very same is ever continued."""
    parts = [settings.model_dump_json(), pipeline, executor, changes.state_of(root), _files_of(settings.dataset.uri)]
    return f"{(changes.head(root) or 'none')[:12]}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"


def _files_of(dataset: str) -> list[tuple[str, int, int]]:
    """Name, size and time of every file of a dataset's folder: it changes when an image does."""
    folder = Path(dataset)
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
