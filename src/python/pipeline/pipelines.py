"""Carries out a model's pipeline: the steps that have a program, then the mail to the owner."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cli import Exit, InfrastructureError, TrainyardError
from contracts.run import ModelOutcome
from contracts.verdict import Fault
from pipeline import awaiting, mailing, steps
from pipeline.common import Checks
from pipeline.executors import Steps
from pipeline.runner import Run
from pipeline.step import Step
from settings import Settings

if TYPE_CHECKING:
    from notify import Kind

_PASSED: "Kind" = "candidate_passed"
_REPORTS = ("test.html", "junit.xml", "evaluation.html", "dataset.html")


def carry_out(
    name: str,
    run: Run,
    executor: Steps,
    settings: Settings,
    reason: str,
    extra: Mapping[str, list[str]] | None = None,
    only: str | None = None,
    checks: Checks | None = None,
    checked: bool = True,
) -> ModelOutcome:
    """Runs pipeline `name` ("train", "retrain" or "test") and mails the owner.

    `extra` holds further arguments for a step, by its name. With `only`, just that step is carried out ("notify" is
    the mail), and what came before it is taken from earlier calls of the same run. A step's failure ends the pipeline
    with that step's exit code; a mail that can't be sent changes nothing.

    What makes a version goes on beside `checks`, if there are any; every other step waits until they have passed.
    `checked` is False where they are left out.

    Raises:
        ChecksFailed: they did not pass.
        UsageError: a step that comes before `only` has not been carried out.
    """
    extra = extra or {}
    place = ["--registry", settings.registry.uri, "--dataset", settings.dataset.uri]
    version, report, kind, code = None, "", _PASSED, int(Exit.OK)
    faults: list[Fault] = []
    for row in steps.rows(name):
        if only not in (None, row.name):
            entry = run.entry(row.name)
        else:
            about = ["--reason", reason] if row.makes else ["--version", str(version)] if version else []
            argv = [*place, *about, "--json", *extra.get(row.name, [])]
            entry = run.step(_in_turn(executor.step(row, argv), row, checks), shared=executor.shares_machine)
        code = entry.exit_code
        if checks and checks.failed.is_set() and code not in (Exit.OK, Exit.GATE):
            checks.must_pass()  # they did not, which is what ended it
        version, report, faults = entry.said.version or version, entry.said.report, entry.said.broken
        if code == Exit.GATE:
            kind = row.falls_short
            break
        if code == Exit.USAGE and faults:
            kind = "tests_broken"  # and nothing is known about the model
            break
        if code != Exit.OK:
            return ModelOutcome(exit_code=code, version=version, run=run.key)
        if row.makes and version is None:
            raise InfrastructureError(f"{row.name} ended without naming the version it made; see {entry.log}.")
        if row.makes and version and entry.said.awaits and only is None:
            if checks:
                checks.must_pass()
            awaiting.admit(settings, version, checked)
        if row.name == only:
            break
    _keep_reports(settings, version, run)
    last = only in (None, steps.NOTIFY)
    mail = mailing.tell(settings, kind, version, report, run, reason, faults) if last else None
    return ModelOutcome(exit_code=code, version=version, mail=mail, run=run.key)


def _in_turn(step: Step, row: steps.Row, checks: Checks | None) -> Step:
    if checks and not row.makes:
        checks.must_pass()
    return replace(step, unwanted=checks.failed) if checks else step


def _keep_reports(settings: Settings, version: int | None, run: Run) -> None:
    """Copies a version's reports beside run.json: a build server archives files, and shows JUnit's XML."""
    if version is None:
        return
    from registry import Registry

    try:
        registry = Registry.open(settings.registry.uri, settings.model.name)
        for report in _REPORTS:
            if content := registry.read_report(version, report):
                (run.folder / report).write_bytes(content)
    except (TrainyardError, OSError) as error:
        run.say(f"The reports could not be copied: {error}")
