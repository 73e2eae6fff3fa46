"""Carries out a plan: what is checked once, and each model by itself, all of it kept as runs."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cli import Bug, Exit, TrainyardError, UsageError
from contracts.plan import Plan, strength
from contracts.run import ModelOutcome
from pipeline import changes, plan, steps
from pipeline.common import Checks, Common, Ended
from pipeline.model_run import ModelRun
from pipeline.process import PROCESSES
from pipeline.request import Request

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
    common = Common(root, folder, request, made, say)
    models = _models(root, folder, request, made, common.tag, say, resumed)
    if resumed not in (None, common.key, *(model.key for model in models)):
        raise UsageError(
            f"Run {resumed} was about other files, data or settings than what is here now; check out its commit "
            f"({resumed.split('-')[0] if resumed else ''}) without changes, or start a new run."
        )
    beside = common.goes_beside
    # Those whose steps can't be started at all say so before anything is done.
    for model in models:
        model.prepare(common.key if beside else "")
    if beside:
        with common.beside() as (images, checks):
            _note(ended, images)
            if checks is not None:
                _carry_out(models, request, ended, checks)
        if checks is not None:
            _note(ended, checks.ended.result())
        return ended
    _note(ended, common.carry_out())
    if not ended.failures and request.only not in steps.CHECKS:
        _carry_out(models, request, ended)
    return ended


def _note(ended: Execution, common: Ended) -> None:
    """Notes how what is about no model went; the first of all failures."""
    ended.run, ended.checks = common.run, common.outcome
    if common.failure:
        ended.failures.insert(0, (int(common.code), common.failure))


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


def _carry_out(models: Sequence[ModelRun], request: Request, ended: Execution, checks: Checks | None = None) -> None:
    """One that fails does not stop the others; with checks that failed meanwhile no further one is begun."""

    def one(model: ModelRun) -> None:
        if checks and (checks.failed.is_set() or not (model.makes_a_version or checks.passed())):
            return
        try:
            outcome, failure = model.carry_out(checks)
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
