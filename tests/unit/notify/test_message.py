"""What a mail says, and that nothing in it can become a header or markup."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

import notify
from comparison.changed import difference
from contracts.record import Record
from contracts.verdict import Fault
from notify import Attachment, Changed, Commit, Message, Picture
from testkit.registries import LABELS, MODEL, metrics

VERDICT = {"kind": "test", "passed": False, "reasons": ["Recall of COVID is 0.61."], "at": "2026-01-01T00:00:00Z"}


def record(version: int = 4, **fields: Any) -> Record:
    defaults: dict[str, Any] = {
        "version": version,
        "model": MODEL,
        "state": "tested",
        "kind": "retrain",
        "parent": 3,
        "labels": LABELS,
        "created": "2026-01-01T00:00:00Z",
        "metrics": {"test": metrics(0.853, recall=0.81), "baseline": metrics(0.8, recall=0.79)},
        "reason": "the dataset changed",
    }
    return Record.model_validate(defaults | fields)


def sent(mail: Message) -> EmailMessage:
    """The mail as its reader gets it."""
    return message_from_bytes(mail.to_email("a@example.com", "b@example.com").as_bytes(), policy=policy.default)


PRODUCTION = record(3, metrics={"test": metrics(0.7)})
MAILS = {
    "candidate_passed": notify.candidate_passed(
        record(), VERDICT | {"passed": True}, PRODUCTION, registry="/data/my reg"
    ),
    "gate_missed": notify.gate_missed(record(verdicts=[VERDICT | {"kind": "gate"}])),
    "tests_failed": notify.tests_failed(record(), VERDICT, PRODUCTION),
    "tests_broken": notify.tests_broken(record(), [Fault(file="test_it.py", name="test_it", error="KeyError")]),
    "promoted": notify.promoted(record(), PRODUCTION, who="ada", reason="better", pods=2),
    "rollback": notify.promoted(PRODUCTION, record(), who="ada", rollback=True),
    "nothing known": notify.gate_missed(record(metrics={}, labels=[])),
}


@pytest.mark.parametrize("mail", MAILS.values(), ids=MAILS.keys())
def test_text_and_page_say_the_same(mail: Message) -> None:
    parsed = sent(mail)
    assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]
    text, page = (part.get_content() for part in parsed.iter_parts())
    assert mail.subject in text and mail.subject in page
    for command in [line.strip() for line in text.splitlines() if line.startswith("  ./pants")]:
        assert command.replace("'", "&#39;") in page


def test_figures_stand_beside_those_of_production_on_the_same_images() -> None:
    mail = MAILS["candidate_passed"]
    assert "Accuracy 85.3 % on 60 held-out images; version 3 has 80.0 % on the same, change +5.3." in mail.text
    row = next(line for line in mail.text.splitlines() if line.startswith("COVID"))
    figures = ["81.0 %", "79.0 %", "75.0 %", "75.0 %", "77.0 %", "77.0 %"]
    assert row.split() == ["COVID", *" ".join(figures).split(), "20"]
    assert "+2.0" in mail.html and "±0.0" in mail.html


def test_figures_carry_the_intervals_that_were_measured_on_the_same_images() -> None:
    judged = {"accuracy_interval": [0.74, 0.921], "recall_intervals": {"COVID": [0.6, 0.925]}}
    mail = notify.candidate_passed(record(evaluation=judged), VERDICT | {"passed": True}, PRODUCTION)
    assert "Accuracy 85.3 % (95 % interval 74.0 to 92.1 %) on 60 held-out images; version 3 has 80.0 %" in mail.text
    covid = mail.text.splitlines().index(next(line for line in mail.text.splitlines() if line.startswith("COVID")))
    assert "60.0 to 92.5 % of the recall" in mail.text.splitlines()[covid + 1]
    assert "74.0 to 92.1&nbsp;%" in mail.html and "60.0 to 92.5&nbsp;%" in mail.html
    elsewhere = VERDICT | {"passed": True, "details": {"metrics": metrics(0.8)}}
    assert "interval" not in notify.candidate_passed(record(evaluation=judged), elsewhere, PRODUCTION).text


@pytest.mark.parametrize(("judged", "says"), [(0, ""), (1, ""), (2, "the 2nd model"), (8, "the 8th model")])
def test_mail_tells_how_many_models_were_judged_on_the_same_images(judged: int, says: str) -> None:
    mail = notify.candidate_passed(record(judged=judged), VERDICT | {"passed": True}, PRODUCTION)
    assert (f"{says} judged on these 60 images" in mail.text) == bool(says)
    assert ("judged on these" in mail.html) == bool(says)


def test_mail_tells_where_chance_was_allowed_for_once() -> None:
    sentence = "Recall of COVID fell by 4.2 points, which chance explains (McNemar's p = 0.31)."
    details = {"allowed_for_chance": [sentence]}
    gate = VERDICT | {"kind": "gate", "passed": True, "details": details}
    mail = notify.candidate_passed(record(verdicts=[gate]), VERDICT | {"passed": True, "details": details}, PRODUCTION)
    assert mail.text.count(f"Allowed for chance: {sentence}") == 1
    assert "Allowed for chance" in mail.html


def test_unchecked_version_is_told_and_the_command_that_promotes_it_says_so() -> None:
    mail = notify.candidate_passed(record(checked=False), VERDICT | {"passed": True}, PRODUCTION)
    assert "checks of its commit were skipped" in mail.text
    assert "promote -- run --unchecked --version 4" in mail.text
    assert "--unchecked" not in notify.gate_missed(record(checked=False, state="rejected")).text


def test_change_is_the_difference_of_the_figures_shown() -> None:
    mail = notify.candidate_passed(
        record(metrics={"test": metrics(0.9175), "baseline": metrics(0.91049)}), VERDICT, PRODUCTION
    )
    assert "Accuracy 91.8 % on 60 held-out images; version 3 has 91.0 % on the same, change +0.8." in mail.text


def test_baseline_measured_elsewhere_is_not_called_the_same_images() -> None:
    mail = notify.candidate_passed(record(metrics={"test": metrics(0.85)}), VERDICT, PRODUCTION)
    assert "version 3 has 70.0 %, measured on its own held-out images." in mail.text
    assert ", change" not in mail.text
    assert "its own held-out images" in mail.html


def test_baseline_of_a_version_that_was_replaced_meanwhile_is_not_shown_as_production() -> None:
    """The parent was production at the training; what is in production now was measured otherwise."""
    mail = notify.candidate_passed(record(parent=2), VERDICT, PRODUCTION)
    assert "version 3 has 70.0 %, measured on its own" in mail.text


@pytest.mark.parametrize("name", ["promoted", "rollback"])
def test_version_that_was_replaced_is_not_called_in_production(name: str) -> None:
    assert "in production" not in MAILS[name].html
    assert "Small: version 3 in production" in MAILS["candidate_passed"].html


def test_promotion_says_who_serves_the_version_now() -> None:
    served, waiting = (notify.promoted(record(), PRODUCTION, who="ada", pods=pods).text for pods in (2, 0))
    assert "is served now instead of version 3 by 2 serving pods; decided by ada." in served
    assert "is in use now instead of version 3, and servers load it when they next read the registry" in waiting


def test_rollback_compares_no_figures_of_different_images() -> None:
    text = MAILS["rollback"].text
    assert "Accuracy 70.0 % on 60 held-out images; version 4 has 85.3 %, measured on its own held-out images." in text


def test_promotion_shows_the_figures_and_the_picture_of_the_tests() -> None:
    details = {"metrics": metrics(0.5), "baseline": metrics(0.4), "baseline_version": 3}
    tested = record(verdicts=[VERDICT | {"passed": True, "details": details}])
    mail = notify.promoted(tested, PRODUCTION, who="ada", picture=b"\x89PNG")
    assert "Accuracy 50.0 % on 60 held-out images; version 3 has 40.0 % on the same" in mail.text
    assert [picture.data for picture in mail.pictures] == [b"\x89PNG"] and "cid:" in mail.html


def test_figures_are_those_of_the_verdict_where_it_holds_them() -> None:
    details = {"metrics": metrics(0.5), "baseline": metrics(0.4), "baseline_version": 3}
    mail = notify.candidate_passed(record(), VERDICT | {"details": details}, PRODUCTION)
    assert "Accuracy 50.0 % on 60 held-out images; version 3 has 40.0 % on the same, change +10.0." in mail.text
    other = notify.candidate_passed(record(), VERDICT | {"details": details | {"baseline_version": 2}}, PRODUCTION)
    assert "version 3 has 70.0 %, measured on its own" in other.text


def test_class_that_production_does_not_know_is_new() -> None:
    figures = metrics(0.7)
    del figures["per_class"]["COVID"]
    mail = notify.candidate_passed(
        record(metrics={"test": metrics(0.8)}), VERDICT, record(3, metrics={"test": figures})
    )
    row = next(line.split() for line in mail.text.splitlines() if line.startswith("COVID"))
    assert row == ["COVID", "80.0", "%", "-", "75.0", "%", "-", "77.0", "%", "-", "20"]
    assert ">new<" in mail.html


def test_commands_can_be_pasted() -> None:
    passed = "./pants run src/python/promote -- run --version 4 --model chest-xray --registry '/data/my reg'"
    assert passed in MAILS["candidate_passed"].text
    assert "test_model -- --version 4" in MAILS["tests_failed"].text
    own = {"uri": "my images", "fingerprint": "f" * 64, "images": 1, "classes": {"COVID": 1}}
    assert "--version 4 --dataset 'my images'" in notify.tests_failed(record(dataset=own), VERDICT, None).text
    assert "promote -- rollback" in MAILS["promoted"].text
    # Without its number the command would go back one further, not to what was rolled back.
    assert f"promote -- rollback --to {record().version}" in MAILS["rollback"].text


def test_mail_says_how_images_are_grouped() -> None:
    own = {"uri": "xrays", "fingerprint": "f" * 64, "images": 20, "classes": {"COVID": 20}}
    grouped = record(dataset=own | {"groups": "folder"})
    alone, told = (notify.candidate_passed(one, VERDICT, None) for one in (record(dataset=own), grouped))
    assert "20 images, fingerprint ffffffffffff" in alone.text
    assert "20 images, groups by sub-folder of the class, fingerprint ffffffffffff" in told.text


def test_mail_about_the_version_in_production_does_not_say_that_it_waits() -> None:
    served = record().model_copy(update={"state": "production"})
    verdict = {"kind": "test", "passed": False, "reasons": ["Slow."], "at": "2026-01-01T00:00:00Z"}
    failed = notify.tests_failed(served, verdict).text
    assert "It is in production all the same" in failed and "promote -- rollback" in failed
    passed = notify.candidate_passed(served, verdict | {"passed": True}).text
    assert "It is in production, and stays there." in passed and "promote -- run" not in passed
    retired = notify.candidate_passed(record().model_copy(update={"state": "retired"}), verdict | {"passed": True}).text
    assert f"promote -- rollback --to {record().version}" in retired


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


BREAKS = ["\r\n", "\n", "\r", "\0", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\u202e"]


@pytest.mark.parametrize("break_", BREAKS)
def test_subject_cannot_start_another_header(break_: str) -> None:
    parsed = sent(Message(f"passed{break_}Bcc: eve@example.com", "text"))
    assert parsed["Bcc"] is None
    assert parsed["Subject"] == "passed Bcc: eve@example.com"


@pytest.mark.parametrize("break_", BREAKS)
def test_nothing_from_outside_can_start_a_header_or_a_line(break_: str) -> None:
    evil = f"harmless{break_}Bcc: eve@example.com{break_ * 2}  ./pants run evil\udcff"
    figures = metrics(0.8)
    figures["per_class"] = {evil: figures["per_class"]["COVID"]}
    mail = notify.tests_failed(
        record(model=evil, labels=[evil], metrics={"test": figures}, reason=evil, code={"commit": evil}),
        VERDICT | {"reasons": [evil]},
        PRODUCTION,
        changed=Changed((Commit(evil, evil, evil),), 0, evil),
        picture=b"png",
    )
    parsed = sent(mail)
    assert parsed["Bcc"] is None
    assert {name for part in parsed.walk() for name in part} <= {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version",
        "Content-Type", "Content-Transfer-Encoding", "Content-ID", "Content-Disposition",
    }  # fmt: skip
    body = parsed.get_body(("plain",))
    assert body is not None
    lines = body.get_content().splitlines()
    assert len([line for line in lines if "Bcc:" in line]) >= 6
    assert not [line for line in lines if line.startswith("Bcc:") or line.strip().startswith("./pants run evil")]


def test_commits_and_images_that_changed_are_told_without_markup() -> None:
    commits = (
        Commit("abc1234", "Ada <ada@example.com>", "<script>alert(1)</script>"),
        Commit("def5678", "Eve", "{{ 7 }}"),
    )
    mail = notify.candidate_passed(record(), VERDICT, PRODUCTION, changed=Changed(commits, 4, "COVID +40 (now 140)"))
    assert "  abc1234 <script>alert(1)</script> (Ada <ada@example.com>)\n  def5678 {{ 7 }} (Eve)\n" in mail.text
    for said in ("Changed since version 3", "Images: COVID +40 (now 140)", "and 4 more"):
        assert said in mail.text and said in mail.html
    assert "<script>" not in mail.html and "&lt;script&gt;" in mail.html


@pytest.mark.parametrize("changed", [None, Changed()])
def test_nothing_is_said_of_changes_that_are_not_known(changed: Changed | None) -> None:
    mail = notify.candidate_passed(record(), VERDICT, PRODUCTION, changed=changed)
    assert "Changed since" not in mail.text + mail.html


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({"a": 5, "b": 9}, {"a": 7, "b": 6}, "a +2 (now 7), b −3 (now 6)"),
        ({"a": 5}, {"a": 5, "b": 2}, "b +2 (now 2)"),
        ({"a": 5, "b": 2}, {"a": 5}, "b −2 (now 0)"),
        ({"a": 5}, {"a": 5}, "as many images of every class, but not the same ones"),
    ],
)
def test_difference_of_datasets_names_every_class_that_grew_or_shrank(
    before: dict[str, int], now: dict[str, int], words: str
) -> None:
    assert difference(before, now) == words


def test_picture_is_shown_in_the_page_and_is_no_attachment() -> None:
    mail = notify.candidate_passed(record(), VERDICT, PRODUCTION, picture=b"\x89PNG picture")
    parsed = sent(mail)
    assert [part.get_content_type() for part in parsed.walk()] == [
        "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
    ]  # fmt: skip
    picture = next(part for part in parsed.walk() if part.get_content_type() == "image/png")
    assert picture.get_content() == b"\x89PNG picture"
    assert f'<img src="cid:{picture["Content-ID"].strip("<>")}"' in mail.html
    assert (picture.get_content_disposition(), picture.get_filename()) == ("inline", None)
    assert list(parsed.iter_attachments()) == []
    assert "COVID 16 of 20 right" in mail.html


def test_confusion_is_a_table_where_there_is_no_picture() -> None:
    mail = MAILS["candidate_passed"]
    assert "<img" not in mail.html
    assert ">16</td>" in mail.html
    assert ">16</td>" not in notify.candidate_passed(record(), VERDICT, PRODUCTION, picture=b"png").html


def test_other_pictures_have_other_ids() -> None:
    assert Picture(b"a").cid != Picture(b"b").cid == Picture(b"b").cid


@pytest.mark.parametrize(
    ("report", "read", "link"),
    [
        (
            "/reg/my reports/<4>/test.html",
            "/reg/my reports/<4>/test.html",
            "file:///reg/my%20reports/%3C4%3E/test.html",
        ),
        ("gs://bucket/m/4/test it.html", *["https://storage.cloud.google.com/bucket/m/4/test%20it.html"] * 2),
        ("javascript:alert(1)", "javascript:alert(1)", Path("javascript:alert(1)").absolute().as_uri()),
    ],
)
def test_report_is_a_link_that_a_browser_opens(report: str, read: str, link: str) -> None:
    mail = notify.candidate_passed(record(), VERDICT, report=report)
    assert f"Report   {read}\n" in mail.text
    assert f'<a href="{link}"' in mail.html
    assert link.startswith(("file:///", "https://"))


def test_attachments_arrive_as_they_were() -> None:
    message = Message("s", "text", "<p>html", (Attachment("verdict.json", "application/json", b'{"a": 1}'),))
    parsed = sent(message)
    (attachment,) = parsed.iter_attachments()
    assert (attachment.get_filename(), attachment.get_content()) == ("verdict.json", b'{"a": 1}')
