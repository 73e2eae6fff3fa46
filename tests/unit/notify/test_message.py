"""What a mail says, and that nothing in it can become a header or markup."""

from email import message_from_bytes, policy
from typing import Any

import pytest

import notify
from notify import Attachment, Message
from registry import Record
from tests.registries import LABELS, MODEL, metrics

VERDICT = {"kind": "test", "passed": False, "reasons": ["Recall of COVID is 0.61."], "at": "2026-01-01T00:00:00Z"}


def record(version: int = 4, **fields: Any) -> Record:
    defaults: dict[str, Any] = {
        "version": version,
        "model": MODEL,
        "state": "tested",
        "kind": "retrain",
        "labels": LABELS,
        "created": "2026-01-01T00:00:00Z",
        "metrics": {"test": metrics(0.853, recall=0.81), "baseline": metrics(0.8, recall=0.79)},
        "reason": "the dataset changed",
    }
    return Record.model_validate(defaults | fields)


PRODUCTION = record(3, metrics={"test": metrics(0.7)})
MAILS = {
    "candidate_passed": notify.candidate_passed(
        record(), VERDICT | {"passed": True}, PRODUCTION, registry="/data/my reg"
    ),
    "gate_missed": notify.gate_missed(record(verdicts=[VERDICT | {"kind": "gate"}])),
    "tests_failed": notify.tests_failed(record(), VERDICT, PRODUCTION),
    "promoted": notify.promoted(record(), PRODUCTION, who="ada", reason="better", pods=2),
    "rollback": notify.promoted(PRODUCTION, record(), who="ada", rollback=True),
    "nothing known": notify.gate_missed(record(metrics={}, labels=[])),
}


@pytest.mark.parametrize("mail", MAILS.values(), ids=MAILS.keys())
def test_text_and_page_say_the_same(mail: Message) -> None:
    parsed = message_from_bytes(mail.to_email("a@example.com", "b@example.com").as_bytes(), policy=policy.default)
    assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]
    text, page = (part.get_content() for part in parsed.iter_parts())
    assert mail.subject in text and mail.subject in page
    for command in [line.strip() for line in text.splitlines() if line.startswith("  ./pants")]:
        assert command.replace("'", "&#39;") in page


def test_figures_stand_beside_those_of_production_on_the_same_images() -> None:
    mail = MAILS["candidate_passed"]
    assert "Accuracy 0.853 on 60 held-out images; version 3 has 0.800 on the same." in mail.text
    row = next(line.split() for line in mail.text.splitlines() if line.startswith("COVID"))
    assert row == ["COVID", "0.810", "0.790", "0.750", "20"]
    assert "+2.0" in mail.html


def test_baseline_measured_elsewhere_is_not_called_the_same_images() -> None:
    mail = notify.candidate_passed(record(metrics={"test": metrics(0.85)}), VERDICT, PRODUCTION)
    assert "version 3 has 0.700." in mail.text
    assert "its own held-out images" in mail.html


def test_commands_can_be_pasted() -> None:
    passed = "./pants run src/python/promote -- run --version 4 --registry '/data/my reg'"
    assert passed in MAILS["candidate_passed"].text
    assert "test_model -- --version 4" in MAILS["tests_failed"].text
    assert "promote -- rollback" in MAILS["promoted"].text


@pytest.mark.parametrize("name", ["gate_missed", "tests_failed"])
def test_reasons_are_told(name: str) -> None:
    assert "Recall of COVID is 0.61." in MAILS[name].text
    assert "Recall of COVID is 0.61." in MAILS[name].html


def test_class_names_and_reasons_are_no_markup() -> None:
    evil = "<img src=x onerror=alert(1)>"
    figures = metrics(0.8)
    figures["per_class"] = {evil: figures["per_class"]["COVID"]}
    mail = notify.tests_failed(
        record(labels=[evil], metrics={"test": figures}), VERDICT | {"reasons": [evil, "{{ 7 * 7 }}"]}
    )
    assert "<img" not in mail.html and "&lt;img" in mail.html
    assert "{{ 7 * 7 }}" in mail.html


@pytest.mark.parametrize("break_", ["\r\n", "\n", "\r", "\x0b", "\x85", "\u2028", "\0"])
def test_subject_cannot_start_another_header(break_: str) -> None:
    message = Message(f"passed{break_}Bcc: eve@example.com", "text")
    parsed = message_from_bytes(message.to_email("a@example.com", "b@example.com").as_bytes(), policy=policy.default)
    assert parsed["Bcc"] is None
    assert parsed["Subject"] == "passed Bcc: eve@example.com"


def test_attachments_arrive_as_they_were() -> None:
    message = Message("s", "text", "<p>html", (Attachment("verdict.json", "application/json", b'{"a": 1}'),))
    parsed = message_from_bytes(message.to_email("a@example.com", "b@example.com").as_bytes(), policy=policy.default)
    (attachment,) = parsed.iter_attachments()
    assert (attachment.get_filename(), attachment.get_content()) == ("verdict.json", b'{"a": 1}')
