"""The pipelines: train or retrain, then test, then tell the owner."""

from dataclasses import dataclass
from pathlib import Path

from cli import Exit, InfrastructureError, progress_console
from pipeline.runner import Run
from pipeline.steps import Launcher
from settings import Settings

# The report in which the tests leave the confusion matrix as a picture: drawing it needs more than this resolve has.
_CONFUSION = "confusion.png"


@dataclass(frozen=True)
class Outcome:
    """How a pipeline ended: its exit code, the version it was about, and where the mail went."""

    exit_code: int
    version: int | None
    mail: str | None


def carry_out(
    name: str, run: Run, launcher: Launcher, settings: Settings, reason: str, extra: dict[str, list[str]] | None = None
) -> Outcome:
    """Runs pipeline `name` ("train", "retrain" or "test") and mails the owner.

    `extra` holds further arguments for a step, by its name. A step's failure ends the pipeline with that step's exit
    code; a mail that can't be sent changes nothing.
    """
    extra = extra or {}
    place = ["--registry", settings.registry.uri, "--dataset", settings.dataset.uri]
    version = None
    if name != "test":
        made = run.step(launcher(name, [*place, "--reason", reason, "--json", *extra.get(name, [])]))
        version = (made["result"] or {}).get("version")
        if made["exit_code"] == Exit.GATE:
            return Outcome(Exit.GATE, version, _mail(settings, "gate_missed", version))
        if made["exit_code"] != Exit.OK:
            return Outcome(made["exit_code"], version, None)
        if version is None:
            raise InfrastructureError(f"{name} ended without naming the version it made; see {made['log']}.")
    chosen = ["--version", str(version)] if version else []
    tested = run.step(launcher("test", [*place, *chosen, "--json", *extra.get("test", [])]))
    version = (tested["result"] or {}).get("version", version)
    if tested["exit_code"] not in (Exit.OK, Exit.GATE):
        return Outcome(tested["exit_code"], version, None)
    kind = "candidate_passed" if tested["exit_code"] == Exit.OK else "tests_failed"
    return Outcome(
        tested["exit_code"], version, _mail(settings, kind, version, (tested["result"] or {}).get("report", ""))
    )


def _mail(settings: Settings, kind: str, version: int | None, report: str = "") -> str | None:
    """Where the mail went. Nothing that goes wrong with a mail may change how the pipeline ends."""
    if version is None:
        return None
    try:
        return _send(settings, kind, version, report)
    except Exception as error:
        progress_console().print(f"The owner could not be told: {error}", markup=False, soft_wrap=True)
        return None


def _send(settings: Settings, kind: str, version: int, report: str) -> str:
    import notify
    from pipeline import history
    from registry import Registry

    uri = settings.registry.uri
    registry = Registry.open(uri, settings.model.name)
    record = registry.record(version)
    stable = registry.serving().stable
    production = registry.record(stable) if stable is not None and stable != version else None
    changed = history.changed(record, production, Path.cwd())
    if kind == "gate_missed":
        message = notify.gate_missed(record, production, registry=uri, report=report, changed=changed)
    else:
        tell = notify.candidate_passed if kind == "candidate_passed" else notify.tests_failed
        message = tell(
            record,
            record.verdicts[-1],
            production,
            registry=uri,
            report=report,
            changed=changed,
            picture=registry.read_report(version, _CONFUSION),
        )
    delivery = notify.send(settings.mail, message)
    if delivery.error:
        progress_console().print(f"Mail kept in the outbox: {delivery.error}", markup=False, soft_wrap=True)
    return delivery.where
