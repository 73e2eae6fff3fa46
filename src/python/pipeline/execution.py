"""Carries out a plan: what is checked once, then each model by itself, all of it kept as runs."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from cli import Bug, Exit, TrainyardError, UsageError
from contracts.plan import Plan, strength
from contracts.run import ModelOutcome
from pipeline import changes, checks, executors, metadata, plan, run_key, steps
from pipeline.executors import Job
from pipeline.model_run import ModelRun
from pipeline.process import PROCESSES
from pipeline.request import Request
from pipeline.runner import Run
from settings import Settings

Say = Callable[[str], None]


@dataclass
class Execution:
    """How a request went: of the checks, and of each model."""

    plan: Plan
    # The key of the checks' run, where there was one.
    run: str | None = None
    checks: ModelOutcome = field(default_factory=lambda: ModelOutcome(exit_code=Exit.OK))
    outcomes: dict[str, ModelOutcome] = field(default_factory=dict)
    # What failed, in one sentence each: with the exit code.
    failures: list[tuple[int, str]] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """A bug before what a retry may mend, and that before the rest: the first that failed."""
        codes = [code for code, _ in self.failures]
        return next((int(worst) for worst in (Exit.BUG, Exit.INFRASTRUCTURE) if worst in codes), (codes or [0])[0])

    @property
    def failure(self) -> TrainyardError | None:
        """All that failed, for the command to end with."""
        if not self.failures:
            return None
        error = TrainyardError(" ".join(sentence for _, sentence in self.failures))
        error.exit_code = Exit(self.exit_code)
        return error

    def as_json(self) -> dict[str, object]:
        """The plan's fields, and how it ended; the old ones are those of the strongest model, a failed one first."""
        models = [model.as_json() | self._of(model.name).model_dump() for model in self.plan.models]
        made = self.plan.as_json() | {"models": models}
        first = min(
            self.plan.asked,
            key=lambda model: (strength(model.pipeline), not self._of(model.name).exit_code),
            default=None,
        )
        strongest = self._of(first.name) if first else ModelOutcome()
        code = self.checks.exit_code if strongest.exit_code is None else strongest.exit_code
        return made | {"exit_code": code, "version": strongest.version, "mail": strongest.mail, "run": self.run}

    def _of(self, name: str) -> ModelOutcome:
        return self.outcomes.get(name, ModelOutcome())


def carry_out(
    root: Path, folder: Path, request: Request, made: Plan, say: Say, resumed: str | None = None
) -> Execution:
    """Carries out plan `made`, and keeps its runs in `folder`; `resumed` is the key of the run that is to go on.

    Raises:
        UsageError: the checkout is not what that run was about, or something is asked for that can't be had.
    """
    request.must_be_possible()
    ended = Execution(made)
    if request.only and request.only not in steps.of_plan(made):
        say(f"{request.only}: not in the plan")
        return ended
    common = _Common(root, folder, request, made, say)
    models = _models(root, folder, request, made, common.tag, say, resumed)
    if resumed not in (None, common.key, *(model.key for model in models)):
        raise UsageError(
            f"Run {resumed} was about other files, data or settings than what is here now; check out its commit "
            f"({resumed.split('-')[0] if resumed else ''}) without changes, or start a new run."
        )
    # Those whose steps can't be started at all say so before anything is done.
    for model in models:
        model.prepare()
    common.carry_out(ended)
    if not ended.failures and request.only not in steps.CHECKS:
        _carry_out(models, request, ended)
    return ended


class _Common:
    """What comes before all models: the checks, and the images that steps run in."""

    def __init__(self, root: Path, folder: Path, request: Request, made: Plan, say: Say) -> None:
        self._root, self._folder, self._request, self._plan, self._say = root, folder, request, made, say
        self._settings: Settings = request.common_settings(root)
        self.key = run_key.of_checks(root, self._settings, made, request.executor)
        only = request.only
        checking = request.check and not request.checked
        self._steps = [step for step in checks.of(root, made) if checking and only in (None, step.name)]
        if request.build and only not in (*steps.CHECKS, steps.NOTIFY):
            rows = [row for model in made.asked for row in steps.rows(model.pipeline)]
            needed = [row for row in rows if only in (None, row.name)]
            job = Job(root, self._settings, self.key, folder / self.key, self.tag)
            if request.executor != "local" and (needed or made.affected.get("image")):
                images = executors.make(request.executor, job).images(needed, made.affected.get("image", []))
                self._steps += [images] if images else []

    @property
    def tag(self) -> str:
        """Of the images that are made for this call."""
        return self.key if self._request.build else ""

    def carry_out(self, ended: Execution) -> None:
        if not self._steps:
            return
        details = {
            "plan": self._plan.as_json(),
            "executor": self._request.executor,
            **metadata.of_call(self._root, asdict(self._request)),
        }
        # What has been checked is not checked again, whoever asks, until something is another.
        run = Run(self._folder, self.key, details, self._say, reopen=not self._request.again)
        ended.run, code = run.key, int(Exit.OK)
        for step in self._steps:
            entry = run.step(step)
            if entry.exit_code == Exit.OK:
                continue
            # A failed check is a failed gate; a machine that lacks something is not.
            code = Exit.INFRASTRUCTURE if entry.exit_code == Exit.INFRASTRUCTURE else Exit.GATE
            ended.failures.append((code, run.failure_of(entry, step)))
            break
        run.state.artifacts = metadata.logs_of(run.state)
        ended.checks = ModelOutcome(exit_code=code, run=run.key)
        run.end(code)


def _models(
    root: Path, folder: Path, request: Request, made: Plan, tag: str, say: Say, resumed: str | None
) -> list[ModelRun]:
    known = {model.name: model for model in plan.known(root, request.model)}
    commit = changes.head(root) if changes.is_clean(root) else None
    several = len(made.asked) > 1
    found = []
    for planned in made.asked:
        if planned.name in known and (request.only is None or request.only in steps.of_model(planned)):
            told = partial(_tell_of, say, planned.name) if several else say
            model = ModelRun(
                root, folder, request, made, planned, known[planned.name], commit, tag, told, resumed is not None
            )
            found.append(model)
    return found


def _tell_of(say: Say, name: str, text: str) -> None:
    say(f"{name}: {text}")


def _carry_out(models: Sequence[ModelRun], request: Request, ended: Execution) -> None:
    """One that fails does not stop the others."""

    def one(model: ModelRun) -> None:
        try:
            outcome, failure = model.carry_out()
        except TrainyardError as error:
            outcome, failure = ModelOutcome(exit_code=int(error.exit_code), run=model.key), str(error)
        except Exception as error:
            outcome, failure = ModelOutcome(exit_code=int(Exit.BUG), run=model.key), _bug(error)
        ended.outcomes[model.name] = outcome
        if failure:
            failure = f"{model.name}: {failure}" if len(models) > 1 else failure
            ended.failures.append((outcome.exit_code or int(Exit.BUG), failure))

    at_once = request.parallel or (1 if all(model.shares_machine for model in models) else len(models))
    if at_once == 1 or len(models) < 2:
        for model in models:
            one(model)
        return
    with ThreadPoolExecutor(at_once) as several:
        futures = [several.submit(one, model) for model in models]
        try:
            for future in futures:
                future.result()
        except BaseException:
            # This process is to end; so are the steps, wherever they are.
            for future in futures:
                future.cancel()
            PROCESSES.stop()
            raise


def _bug(error: Exception) -> str:
    import traceback

    traceback.print_exception(error)
    return str(Bug("This is a bug in Trainyard; please report it with the lines above."))
