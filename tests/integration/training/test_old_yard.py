"""Production's version of a yard that an earlier Trainyard left is trained on by this one."""

import json
import shutil
import unicodedata
from email import message_from_bytes
from pathlib import Path

import pytest

from cli import GateNotPassed
from contracts.record import Record
from registry import Keys, Registry
from testkit import yards
from training.retrain import retrain

ROOT = Path(__file__).parents[3]


@pytest.fixture
def old_yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this version's files lie beside the user's own, as after an upgrade."""
    made = yards.old_yard(tmp_path)
    shutil.copytree(ROOT / "models" / "chest_xray", made / "models" / "chest_xray")
    monkeypatch.chdir(made)
    return made


def newest(yard: Path) -> Record:
    registry = str(yard / "registry")
    return Registry.open(registry, yards.MODEL, Keys.of("", [], registry)).records()[-1]


def test_retrained_on_the_users_own_images_by_the_users_own_gates(old_yard: Path) -> None:
    """A class that is written in another form of Unicode is the same, and stays in its place, although the two forms
    sort differently."""
    composed, apart = (unicodedata.normalize(form, "Écross") for form in ("NFC", "NFD"))
    (old_yard / "scans" / "Cross").rename(old_yard / "scans" / composed)
    path = old_yard / "registry" / yards.MODEL / "records" / "1.json"
    path.write_text(json.dumps(json.loads(path.read_text().replace('"Cross"', json.dumps(apart)))))
    assert sorted((composed, "Ring", "Two Dots"))[2] == composed
    retrain(epochs=1)
    record = newest(old_yard)
    assert (record.version, record.state, record.kind, record.parent) == (3, "candidate", "retrain", 1)
    assert record.dataset and record.dataset.uri == str(old_yard / "scans")
    assert list(record.dataset.classes.values()) == [40, 40, 40]
    assert (record.labels, record.image_size) == ([apart, "Ring", "Two Dots"], 32)
    assert record.metrics.baseline and record.metrics.baseline.accuracy == pytest.approx(0.868, abs=0.001)
    details = record.verdicts[-1].details or {}
    assert details["gates"] == {"min_accuracy": 0.6, "min_recall": 0.4}


def test_the_users_own_owner_is_told_of_a_missed_gate(old_yard: Path) -> None:
    settings = old_yard / "trainyard.toml"
    settings.write_text(settings.read_text().replace("min_accuracy = 0.6", "min_accuracy = 1.0"))
    with pytest.raises(GateNotPassed, match="is below 1"):
        retrain(epochs=1, mail=True)
    (mail,) = (old_yard / "outbox").iterdir()
    told = message_from_bytes(mail.read_bytes())
    assert (told["To"], told["Subject"]) == (yards.OWNER, "shapes 3 missed the gate")
