"""What a request does once for all models: the checks, and the images that steps run in."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cli import Exit, TrainyardError
from contracts.plan import Plan
from contracts.run import ModelOutcome
from pipeline import checks, executors, metadata, run_key, steps
from pipeline.executors import Job
from pipeline.process import PROCESSES
from pipeline.request import Request
from pipeline.runner import Run
from pipeline.step import Step
from settings import Settings

Say = Callable[[str], None]


@dataclass(frozen=True)
class Ended:
    """How it went; `failure` is what failed, in one sentence."""

    code: Exit = Exit.OK
    failure: str = ""
    # The run that keeps it, where there was anything to do.
    run: str | None = None

    @property
    def outcome(self) -> ModelOutcome:
        return ModelOutcome(exit_code=int(self.code), run=self.run)


class ChecksFailed(TrainyardError):
    """The checks that a version awaits did not pass. Its exit code is theirs."""


@dataclass(frozen=True)
class Checks:
    """Checks that go on while models are trained."""

    # The run that keeps them.
    key: str
    ended: "Future[Ended]"
    # Set once they have failed: no model is wanted then.
    failed: threading.Event = field(default_factory=threading.Event)

    def passed(self) -> bool:
        """Waits until they have ended, and tells whether well."""
        return self.ended.result().code == Exit.OK

    def must_pass(self) -> None:
        """Waits until they have ended.

        Raises:
            ChecksFailed: one did not pass, or could not be carried out.
        """
        found = self.ended.result()
        if found.code != Exit.OK:
            error = ChecksFailed(found.failure)
            error.exit_code = found.code
            raise error


class Common:
    """The steps that are about no model, kept as a run of their own."""

    def __init__(self, root: Path, folder: Path, request: Request, made: Plan, say: Say) -> None:
        self._root, self._folder, self._request, self._plan, self._say = root, folder, request, made, say
        self._settings: Settings = request.common_settings(root)
        self.key = run_key.of_checks(root, self._settings, made, request.executor)
        only = request.only
        checking = request.check and not request.checked
        self._checks = [step for step in checks.of(root, made) if checking and only in (None, step.name)]
        self._images: list[Step] = []
        if request.build and only not in (*steps.CHECKS, steps.NOTIFY):
            rows = [row for model in made.asked for row in steps.rows(model.pipeline)]
            needed = [row for row in rows if only in (None, row.name)]
            job = Job(root, self._settings, self.key, folder / self.key, self.tag)
            if request.executor != "local" and (needed or made.affected.get("image")):
                images = executors.make(request.executor, job).images(needed, made.affected.get("image", []))
                self._images += [images] if images else []

    @property
    def tag(self) -> str:
        """Of the images that are made for this call."""
        return self.key if self._request.build else ""

    @property
    def goes_beside(self) -> bool:
        """Whether there are checks that models can be trained beside."""
        makes = any(row.makes for model in self._plan.asked for row in steps.rows(model.pipeline))
        return bool(self._checks) and makes and self._request.only is None

    def carry_out(self) -> Ended:
        """All of it, before any model."""
        wanted = [*self._checks, *self._images]
        if not wanted:
            return Ended()
        run = self._open()
        ended = self._carry_out(run, wanted)
        _close(run, ended)
        return ended

    @contextmanager
    def beside(self) -> Iterator[tuple[Ended, Checks | None]]:
        """Within it the checks go on in a thread; the images, which models need, come before.

        Where those could not be made there are no checks. On the way out the checks have ended, whichever way.
        """
        run = self._open()
        images = self._carry_out(run, self._images)
        if images.code != Exit.OK:
            _close(run, images)
            yield images, None
            return
        failed = threading.Event()

        def check() -> Ended:
            ended = self._carry_out(run, self._checks)
            _close(run, ended)
            if ended.code == Exit.GATE:
                failed.set()
                PROCESSES.end_unwanted()
            return ended

        with ThreadPoolExecutor(1) as thread:
            try:
                yield images, Checks(self.key, thread.submit(check), failed)
            except BaseException:
                # This process is to end, and with it what it has started.
                PROCESSES.stop()
                raise

    def _open(self) -> Run:
        details = {
            "plan": self._plan.as_json(),
            "executor": self._request.executor,
            **metadata.of_call(self._root, asdict(self._request)),
        }
        # What has been checked is not checked again, whoever asks, until something is another.
        return Run(self._folder, self.key, details, self._say, reopen=not self._request.again)

    def _carry_out(self, run: Run, wanted: Sequence[Step]) -> Ended:
        for step in wanted:
            entry = run.step(step)
            if entry.exit_code != Exit.OK:
                # A failed check is a failed gate; a machine that lacks something is not.
                code = Exit.INFRASTRUCTURE if entry.exit_code == Exit.INFRASTRUCTURE else Exit.GATE
                return Ended(code, run.failure_of(entry, step), run.key)
        return Ended(run=run.key)


def _close(run: Run, ended: Ended) -> None:
    run.state.artifacts = metadata.logs_of(run.state)
    run.end(int(ended.code))
