"""The mail about how training or a test ended, made from what the registry knows."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from comparison import history
from notify.delivery import send
from notify.mails import candidate_passed, gate_missed, tests_failed
from registry import Registry
from settings.schema import Mail

# The report in which the tests leave the confusion matrix as a picture: drawing it needs more than this resolve has.
_CONFUSION = "confusion.png"

Kind = Literal["gate_missed", "candidate_passed", "tests_failed"]


def tell(
    mail: Mail, uri: str, model: str, kind: Kind, version: int, report: str, say: Callable[[str], None]
) -> str | None:
    """Tells the owner, and returns where the mail went. Nothing that goes wrong with it may change how things end.

    `uri` is the registry's, which is asked about `version` of `model`; `say` hears why a mail was not sent.
    """
    try:
        return _send(mail, uri, model, kind, version, report, say)
    except Exception as error:
        say(f"The mail to the owner failed: {error}")
        return None


def _send(mail: Mail, uri: str, model: str, kind: Kind, version: int, report: str, say: Callable[[str], None]) -> str:
    registry = Registry.open(uri, model)
    record = registry.record(version)
    stable = registry.serving().stable
    production = registry.record(stable) if stable is not None and stable != version else None
    changed = history.changed(record, production, Path.cwd())
    if kind == "gate_missed":
        message = gate_missed(record, production, registry=uri, report=report, changed=changed)
    else:
        write = candidate_passed if kind == "candidate_passed" else tests_failed
        message = write(
            record,
            record.verdicts[-1],
            production,
            registry=uri,
            report=report,
            changed=changed,
            picture=registry.read_report(version, _CONFUSION),
        )
    delivery = send(mail, message)
    if delivery.error:
        say(f"The mail is in the outbox: {delivery.error}")
    return delivery.where
