"""One model's pipeline: as a run of its own, and told to all who plan for the model."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from cli import Exit, TrainyardError
from contracts.plan import ModelPlan, Plan, strength
from contracts.run import ModelOutcome
from models import Model
from pipeline import awaiting, executors, metadata, pipelines, run_key, steps
from pipeline.common import Checks, ChecksFailed
from pipeline.executors import Job
from pipeline.ledger import Ended, Ledger
from pipeline.request import Request
from pipeline.runner import Run


class ModelRun:
    """What a plan asks for of one model. `tag` is that of the images made for it, `commit` None for changed files."""

    def __init__(
        self,
        root: Path,
        folder: Path,
        request: Request,
        made: Plan,
        planned: ModelPlan,
        model: Model,
        commit: str | None,
        tag: str,
        say: Callable[[str], None],
        resumed: bool = False,
    ) -> None:
        assert planned.pipeline
        self.name, self._pipeline, self._planned = planned.name, planned.pipeline, planned
        self._root, self._folder, self._request, self._plan, self._say = root, folder, request, made, say
        self._settings = request.settings_of(model)
        self._commit, self._resumed = commit, resumed
        self.key = run_key.of_model(root, self._settings, planned, request.executor)
        variables = {"TRAINYARD_MODEL_NAME": model.name}
        if request.skips_checks:
            variables["TRAINYARD_CHECKED"] = "0"
        self._job = Job(root, self._settings, self.key, folder / self.key, tag, variables)

    def prepare(self, beside: str = "") -> None:
        """Makes ready to be carried out; `beside` is the run whose checks go on meanwhile, if any do.

        Raises:
            UsageError: its steps can't be started.
        """
        self._executor = executors.make(self._request.executor, replace(self._job, beside=beside))

    @property
    def makes_a_version(self) -> bool:
        return any(row.makes for row in steps.rows(self._pipeline))

    @property
    def shares_machine(self) -> bool:
        return self._executor.shares_machine

    def carry_out(self, checks: Checks | None = None) -> tuple[ModelOutcome, str]:
        """How it ended, and what failed in one sentence; empty where nothing did, or the checks, which tell themselves.

        Raises:
            TrainyardError: it could not be begun, or not gone on with.
        """
        request, only = self._request, self._request.only
        self._say(f"{self._pipeline}: {self._planned.reason}")
        details = {
            "plan": self._plan.with_models([self._planned]).as_json(),
            "executor": request.executor,
            "model_name": self.name,
            "checked": not request.skips_checks,
            **metadata.of_call(self._root, asdict(replace(request, model=self.name))),
        }
        run = Run(self._folder, self.key, details, self._say, reopen=self._resumed)
        ledger = Ledger(self._settings.registry.uri, self.name)
        outcome = ModelOutcome(exit_code=int(Exit.INFRASTRUCTURE), run=run.key)
        try:
            with ledger.beating(self._pipeline, self._commit, run.key, self._say):
                outcome = pipelines.carry_out(
                    self._pipeline,
                    run,
                    self._executor,
                    self._settings,
                    self._planned.reason,
                    only=only,
                    checks=checks,
                    checked=not request.skips_checks,
                )
                outcome = outcome.model_copy(update={"exit_code": _of_table(outcome.exit_code)})
        except ChecksFailed as failed:
            assert checks
            return self._without_checks(run, ledger, checks, failed), ""
        except TrainyardError as error:
            outcome = outcome.model_copy(update={"exit_code": int(error.exit_code)})
            self._close(run, ledger, outcome)
            raise
        except BaseException:
            # Stopped from outside: the next call goes on with it.
            run.leave()
            self._tell(lambda: ledger.leave(run.key))
            raise
        metadata.add_results(run.state, self._settings, outcome)
        self._close(run, ledger, outcome)
        # The call that carried a step out has told how it ended; the one for the mail does not say it again.
        if outcome.exit_code == Exit.OK or only == steps.NOTIFY:
            return outcome, ""
        return outcome, run.failure_of(run.state.steps[-1])

    def _without_checks(self, run: Run, ledger: Ledger, checks: Checks, failed: ChecksFailed) -> ModelOutcome:
        """Rejects what was made beside checks that failed; of checks that could not be carried out, a later call
        makes up its mind."""
        rejected: list[int] = []
        if failed.exit_code == Exit.GATE:
            try:
                rejected = awaiting.withdraw(self._settings, checks.key, str(failed))
                self._say(f"The checks failed: {awaiting.told(rejected)}")
            except (TrainyardError, OSError) as error:
                self._say(f"What was made could not be rejected, and stays in training, as no candidate: {error}")
            # It is not to be taken for done when the run is resumed.
            making = {row.name for row in steps.rows(self._pipeline) if row.makes}
            for place, entry in enumerate(run.state.steps):
                if entry.name in making and entry.exit_code == Exit.OK:
                    run.state.steps[place] = entry.model_copy(update={"exit_code": int(Exit.GATE)})
        version = rejected[-1] if rejected else None
        outcome = ModelOutcome(exit_code=int(failed.exit_code), version=version, run=run.key)
        metadata.add_results(run.state, self._settings, outcome)
        run.state.artifacts.pop("model", None)
        run.end(int(failed.exit_code))
        # What became of the model is not known: a plan of the same commit has it all before it.
        self._tell(lambda: ledger.leave(run.key))
        return outcome

    def _close(self, run: Run, ledger: Ledger, outcome: ModelOutcome) -> None:
        code = outcome.exit_code or 0
        if self._request.only not in (None, steps.NOTIFY):
            run.leave()
            self._tell(lambda: ledger.leave(run.key))
            return
        run.end(code)
        # Less than was owed leaves the rest owed.
        all_owed = strength(self._pipeline) <= strength(self._planned.owed)
        ended = Ended(
            commit=self._commit if all_owed else None,
            pipeline=self._pipeline,
            exit_code=code,
            run=run.key,
            version=outcome.version,
        )
        self._tell(lambda: ledger.end(ended))

    def _tell(self, write: Callable[[], None]) -> None:
        try:
            write()
        except (TrainyardError, OSError) as error:
            self._say(f"How {self.name} ended could not be recorded; a later plan may repeat it: {error}")


def _of_table(code: int | None) -> int:
    """A code of ours; a program that ended with another one was kept from ending by itself."""
    return int(code) if code in set(Exit) else int(Exit.INFRASTRUCTURE)
