"""trainyard.toml and the models' files, compared by what they say, in a real Git repository."""

import pytest

import models
from pipeline import changes
from pipeline.values import differences
from tests.unit.pipeline.test_changes import git

YARD = """
[model]
name = "chest-xray"

[dataset]
uri = "datasets/sample.toml"

[gates]
min_accuracy = 0.85

[registry]
uri = "registry"

[mail]
owner = "owner@example.com"
"""
# Takes everything from trainyard.toml.
PLAIN = """
task = "one label"
family = "residual"

[input]
size = 128
"""
# Takes its dataset and its gate from files of its own.
OWN = """
task = "one label"
family = "residual"

[dataset]
uri = "datasets/digits.toml"

[schedule]
epochs = 3
"""
LIMITS = """
[gates]
min_accuracy = 0.96
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    for name in ("TRAINYARD_MODEL_NAME", "TRAINYARD_DATASET_URI"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "repository"
    for path, text in {
        "trainyard.toml": YARD,
        "models/chest_xray/model.toml": PLAIN,
        "models/digits/model.toml": OWN,
        "models/digits/limits.toml": LIMITS,
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


def edit(root, path, old, new):
    text = (root / path).read_text()
    assert old in text
    (root / path).write_text(text.replace(old, new))


def found(root):
    """{model: (pipeline, path, what)} of what differs from HEAD."""
    unlike = differences(root, changes.since(root, "HEAD"), models.known(root))
    return {name: (one.pipeline, one.path, one.what) for name, one in unlike.items()}


YARD_FILE, CHEST, DIGITS, DIGITS_LIMITS = (
    "trainyard.toml",
    "models/chest_xray/model.toml",
    "models/digits/model.toml",
    "models/digits/limits.toml",
)
# What is edited -> (file, old, new), and what it asks for.
CASES = {
    "comment of the yard": ((YARD_FILE, "[gates]", "# A comment.\n[gates]"), {}),
    "order and spaces": ((DIGITS, "[dataset]\nuri = ", "[dataset]\nuri   =   "), {}),
    "a default written out": ((YARD_FILE, "[gates]", "[gates]\nmin_recall = 0.7"), {}),
    "dataset of the yard": (
        (YARD_FILE, "sample.toml", "xrays.dvc"),
        {"chest-xray": ("retrain", YARD_FILE, "[dataset] uri")},
    ),
    "gate of the yard that one overrides": (
        (YARD_FILE, "0.85", "0.9"),
        {"chest-xray": ("test", YARD_FILE, "[gates] min_accuracy")},
    ),
    "gate of the yard that nobody overrides": (
        (YARD_FILE, "min_accuracy = 0.85", "min_accuracy = 0.85\nmin_recall = 0.8"),
        {name: ("test", YARD_FILE, "[gates] min_recall") for name in ("chest-xray", "digits")},
    ),
    "limit of the model tests": (
        (YARD_FILE, "[registry]", "[tests]\nmax_p95_ms = 500\n[registry]"),
        {name: ("test", YARD_FILE, "[tests] max_p95_ms") for name in ("chest-xray", "digits")},
    ),
    "registry": ((YARD_FILE, 'uri = "registry"', 'uri = "elsewhere"'), {}),
    "mail": ((YARD_FILE, "owner@", "somebody@"), {}),
    "serving": ((YARD_FILE, "[mail]", "[serving]\nrollover_timeout = 60\n[mail]"), {}),
    "name of the one model of then": (
        (YARD_FILE, 'name = "chest-xray"', 'name = "covid"'),
        {"covid": ("train", YARD_FILE, "[model] name was 'chest-xray'")},
    ),
    "name of another model": ((YARD_FILE, 'name = "chest-xray"', 'name = "digits"'), {}),
    "comment of a model": ((DIGITS, "[schedule]", "# A comment.\n[schedule]"), {}),
    "dataset of a model": ((DIGITS, "digits.toml", "more.toml"), {"digits": ("retrain", DIGITS, "[dataset] uri")}),
    "input of a model": ((CHEST, "128", "96"), {"chest-xray": ("train", CHEST, "[input] size")}),
    "schedule of a model": ((DIGITS, "epochs = 3", "epochs = 4"), {"digits": ("train", DIGITS, "[schedule] epochs")}),
    "family of a model": ((DIGITS, '"residual"', '"applications"'), {"digits": ("train", DIGITS, "family")}),
    "limits of a model": (
        (DIGITS_LIMITS, "0.96", "0.97"),
        {"digits": ("test", DIGITS_LIMITS, "[gates] min_accuracy")},
    ),
    "owner of a model": (
        (DIGITS_LIMITS, "[gates]", '[mail]\nowner = "b@example.com"\n[gates]'),
        {"digits": ("test", DIGITS_LIMITS, "[mail] owner")},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_value_counts_for_the_models_that_take_it(root, case):
    (path, old, new), wanted = CASES[case]
    edit(root, path, old, new)
    assert found(root) == wanted


def test_stronger_difference_is_told(root):
    edit(root, YARD_FILE, "0.85", "0.9")
    edit(root, YARD_FILE, "sample.toml", "xrays.dvc")
    assert found(root)["chest-xray"][0] == "retrain"


def test_model_that_was_not_there_is_new(root):
    (root / "models/third").mkdir()
    (root / "models/third/model.toml").write_text(PLAIN)
    assert found(root) == {"third": ("train", "models/third/model.toml", "the model is new")}


def test_limits_that_are_removed_are_a_difference(root):
    (root / DIGITS_LIMITS).unlink()
    assert found(root)["digits"][0] == "test"


def test_file_that_could_not_be_read_then_said_nothing(root):
    (root / DIGITS).write_text("task = ")
    git(root, "commit", "-qam", "broken")
    (root / DIGITS).write_text(OWN)
    assert found(root) == {"digits": ("train", DIGITS, "[schedule] epochs, family, task")}


def test_no_file_is_read_where_none_of_them_differs(root, monkeypatch):
    (root / "README.md").write_text("Edited.\n")
    monkeypatch.setattr(changes, "content", None)
    assert found(root) == {}
