"""The pipelines: train or retrain, then test, then tell the owner."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import Exit, InfrastructureError, TrainyardError, progress_console
from pipeline.runner import Run
from pipeline.steps import Launcher
from settings import Settings

if TYPE_CHECKING:
    from notify import Kind

_REPORTS = ("test.html", "junit.xml", "evaluation.html", "dataset.html")


@dataclass(frozen=True)
class Outcome:
    """How a pipeline ended: its exit code, the version it was about, and where the mail went."""

    exit_code: int
    version: int | None
    mail: str | None


def carry_out(
    name: str,
    run: Run,
    launcher: Launcher,
    settings: Settings,
    reason: str,
    extra: dict[str, list[str]] | None = None,
    only: str | None = None,
) -> Outcome:
    """Runs pipeline `name` ("train", "retrain" or "test") and mails the owner.

    `extra` holds further arguments for a step, by its name. With `only`, just that step is carried out ("notify" is
    the mail), and what came before it is taken from earlier calls of the same run. A step's failure ends the pipeline
    with that step's exit code; a mail that can't be sent changes nothing.

    Raises:
        UsageError: a step that comes before `only` has not been carried out.
    """
    extra = extra or {}
    place = ["--registry", settings.registry.uri, "--dataset", settings.dataset.uri]
    version = None

    def carried_out(step: str, arguments: list[str]) -> dict[str, Any]:
        if only not in (None, step):
            return run.entry(step)
        return run.step(launcher(step, [*place, *arguments, "--json", *extra.get(step, [])]))

    def mail(kind: "Kind", report: str = "") -> str | None:
        return _mail(settings, kind, version, report) if only in (None, "notify") else None

    if name != "test":
        made = carried_out(name, ["--reason", reason])
        version = (made["result"] or {}).get("version")
        if made["exit_code"] == Exit.GATE:
            _keep_reports(settings, version, run.folder)
            return Outcome(Exit.GATE, version, mail("gate_missed"))
        if made["exit_code"] != Exit.OK or only == name:
            return Outcome(made["exit_code"], version, None)
        if version is None:
            raise InfrastructureError(f"{name} ended without naming the version it made; see {made['log']}.")
    chosen = ["--version", str(version)] if version else []
    tested = carried_out("test", chosen)
    version = (tested["result"] or {}).get("version", version)
    if tested["exit_code"] not in (Exit.OK, Exit.GATE):
        return Outcome(tested["exit_code"], version, None)
    _keep_reports(settings, version, run.folder)
    kind: Kind = "candidate_passed" if tested["exit_code"] == Exit.OK else "tests_failed"
    return Outcome(tested["exit_code"], version, mail(kind, (tested["result"] or {}).get("report", "")))


def _keep_reports(settings: Settings, version: int | None, folder: Path) -> None:
    """Copies a version's reports beside run.json: a build server archives files, and shows JUnit's XML."""
    if version is None:
        return
    from registry import Registry

    try:
        registry = Registry.open(settings.registry.uri, settings.model.name)
        for report in _REPORTS:
            if content := registry.read_report(version, report):
                (folder / report).write_bytes(content)
    except (TrainyardError, OSError) as error:
        progress_console().print(f"The reports could not be copied: {error}", markup=False, soft_wrap=True)


def _mail(settings: Settings, kind: "Kind", version: int | None, report: str = "") -> str | None:
    """Where the mail went."""
    if version is None:
        return None
    import notify

    def say(line: str) -> None:
        progress_console().print(line, markup=False, soft_wrap=True)

    return notify.tell(settings.mail, settings.registry.uri, settings.model.name, kind, version, report, say)
