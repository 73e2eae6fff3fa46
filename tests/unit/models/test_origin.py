"""What sets a limit is named: the variable, the model's file, the yard's file, or the default."""

import pytest

import models
from models.origin import origin


@pytest.fixture
def yard(tmp_path, monkeypatch):
    (tmp_path / "trainyard.toml").write_text("[gates]\nmin_accuracy = 0.8\nmin_recall = 0.7\n")
    folder = tmp_path / "models" / "one"
    folder.mkdir(parents=True)
    (folder / "model.toml").write_text('task = "one label"\nfamily = "residual"\n')
    (folder / "limits.toml").write_text("[gates]\nmin_accuracy = 0.9\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("field", "environment", "told"),
    [
        ("min_accuracy", {"TRAINYARD_GATES_MIN_ACCURACY": "0.95"}, "TRAINYARD_GATES_MIN_ACCURACY"),
        ("min_accuracy", {}, "min_accuracy of [gates] in models/one/limits.toml"),
        ("min_recall", {}, "min_recall of [gates] in trainyard.toml"),
        ("tolerance", {}, "the default of tolerance in [gates]"),
    ],
)
def test_origin_is_what_counts_most(yard, field, environment, told):
    model = models.find("one", yard, environment)
    assert origin(model, "gates", field, yard, environment) == told
