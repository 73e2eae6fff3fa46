import json
import re

import numpy as np
import pytest

from contracts.record import DatasetUsed, Evaluation, Record
from evaluation import Account, judge, measure, scaled
from evaluation.report import as_json, render, summary
from imaging.array import encode_png

LABELS = ["COVID", "Normal", "<b>Pneumonia"]


@pytest.fixture
def record():
    return Record(
        version=7, model="chest-xray", state="candidate", kind="train", created="2026-01-01T00:00:00Z", labels=LABELS
    )


def account(tmp_path, temperature=1.0, wrong=14):
    """60 images, of which the first `wrong` get a wrong answer, the later ones surer."""
    truth = np.arange(60) % 3
    answers = np.where(np.arange(60) < wrong, (truth + 1) % 3, truth)
    confidence = 0.5 + 0.4 * np.arange(60) / 60
    plain = np.repeat((1 - confidence)[:, None] / 2, 3, axis=1)
    plain[np.arange(60), answers] = confidence
    files = []
    for number in range(60):
        files.append(tmp_path / f"{number} <i>.png")
        files[-1].write_bytes(encode_png(np.full((20, 30), number, np.uint8)))
    names = np.array(LABELS)
    return Account(
        metrics=measure(names[truth].tolist(), names[answers].tolist(), LABELS),
        judgement=judge(scaled(plain, temperature), truth, LABELS, {"brightness": range(60)}),
        unscaled=judge(plain, truth, LABELS),
        temperature=temperature,
        probabilities=scaled(plain, temperature),
        truth=truth,
        files=files,
        epochs=[{"loss": 1 / n, "validation_loss": 1 / n, "validation_accuracy": 1 - 1 / n} for n in range(1, 9)],
        best_epoch=8,
    )


def test_page_is_self_contained_and_trusts_no_name(record, tmp_path):
    page = render(account(tmp_path), record).decode()
    assert set(re.findall(r'(?:src|srcset|href)="([^"]{1,15})', page)) == {"data:image/png;"}
    assert "<script" not in page
    assert "<b>Pneumonia" not in page
    assert "<i>" not in page


def test_page_shows_the_surest_mistakes_first(record, tmp_path):
    page = render(account(tmp_path), record).decode()
    shown = re.findall(r'<img src="data:[^"]*" alt="(\d+) &lt;i&gt;\.png"', page)
    assert shown == [str(number) for number in range(13, 1, -1)]
    assert "12 of 14 mistakes are shown" in page
    assert "It got every test image right" in render(account(tmp_path, wrong=0), record).decode()


def test_page_tells_a_temperature_only_where_there_is_one(record, tmp_path):
    assert "Temperature 2.00" in render(account(tmp_path, temperature=2.0), record).decode()
    assert "Not scaled" in render(account(tmp_path), record).decode()


def test_missed_gate_is_told_with_its_reasons(record, tmp_path):
    page = render(account(tmp_path), record, ["accuracy 0.7 is below 0.8"]).decode()
    assert '<header class="failed">' in page
    assert "accuracy 0.7 is below 0.8" in page


def test_json_and_summary_hold_what_the_page_tells(tmp_path):
    made = account(tmp_path, temperature=2.0)
    whole, short = json.loads(as_json(made)), summary(made)
    assert whole["temperature"] == short.temperature == 2.0
    assert whole["judgement"]["calibration_error"] == short.calibration_error != short.calibration_error_unscaled
    assert len(whole["epochs"]) == 8
    assert Evaluation.model_validate_json(short.model_dump_json()) == short


def test_page_says_how_images_are_grouped(record, tmp_path):
    used = {"uri": "xrays", "fingerprint": "f" * 64, "images": 60, "classes": {}}
    alone, grouped = (
        record.model_copy(update={"dataset": DatasetUsed.model_validate(used | {"groups": rule})})
        for rule in ("", "folder")
    )
    assert "on 60 images of xrays." in render(account(tmp_path), alone).decode()
    assert "on 60 images of xrays, groups by sub-folder of the class." in render(account(tmp_path), grouped).decode()
