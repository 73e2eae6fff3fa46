import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import models
from cli import Conflict, DataRefused, UsageError
from contracts.grouping import MARK
from dataset.pointer import promise
from models import check, listing
from models.__main__ import list_models
from models.new import start


@pytest.fixture
def yard(tmp_path):
    """A repository that holds one model."""
    (tmp_path / "trainyard.toml").write_text('[registry]\nuri = "registry"\n[model]\nname = "first"\n')
    folder = tmp_path / "models" / "first"
    folder.mkdir(parents=True)
    (folder / "model.toml").write_text('task = "one label"\nfamily = "residual"\n')
    return tmp_path


def pictures(folder, labels=("maple", "oak"), size=(90, 70)):
    for label in labels:
        (folder / label).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", size, (number, 90, len(label))).save(folder / label / f"{number}.png")
    return folder


def test_new_model_can_be_read_and_nothing_is_wrong_with_its_files(yard, tmp_path):
    made = start(yard, "sugar-maples", str(pictures(tmp_path / "leaves")), rgb=True, own_network=False)
    found = models.find("sugar-maples", yard)
    assert made.folder == found.folder == yard / "models" / "sugar_maples"
    assert (found.input.shape, found.family, found.network_file) == ((96, 96, 3), "residual", None)
    assert found.settings.dataset.uri == str(yard / "datasets" / "sugar_maples.toml")
    assert check.of_files(found) == []
    assert set(made.files) == {
        Path("datasets/sugar_maples.toml"),
        *(
            Path("models/sugar_maples") / name
            for name in ("BUILD", "card.md", "limits.toml", "model.toml", "tests/test_sugar_maples.py")
        ),
    }


def test_own_network_takes_the_familys_place(yard, tmp_path):
    start(yard, "leaves", str(pictures(tmp_path / "leaves")), rgb=False, own_network=True)
    found = models.find("leaves", yard)
    assert (found.family, found.network_file) == ("", yard / "models/leaves/network.py")
    assert found.input.channels == 1
    lines = found.network_file.read_text().partition("def build")[2].splitlines()
    assert len(lines) < 20


def test_small_pictures_make_a_small_input_and_large_ones_the_usual(yard, tmp_path):
    start(yard, "small", str(pictures(tmp_path / "a", size=(8, 8))), rgb=False, own_network=False)
    start(yard, "large", str(pictures(tmp_path / "b", size=(900, 700))), rgb=False, own_network=False)
    assert (models.find("small", yard).input.size, models.find("large", yard).input.size) == (32, 128)


def test_test_that_is_written_passes_for_answers_that_know_the_classes_and_fails_for_others(yard, tmp_path):
    labels = ("it's", 'a "b"')
    start(yard, "odd", str(pictures(tmp_path / "odd", labels)), rgb=False, own_network=False)
    names: dict = {}
    exec((yard / "models/odd/tests/test_odd.py").read_text(), names)

    class Answer:
        def __init__(self, scores):
            self.scores = scores

    names["test_answers_know_the_classes"]([Answer(dict.fromkeys(labels, 0.5))])
    with pytest.raises(AssertionError, match="an answer knows"):
        names["test_answers_know_the_classes"]([Answer({"it's": 1.0})])


def test_images_outside_the_repository_are_said_to_be_this_machines(yard, tmp_path_factory):
    away = pictures(tmp_path_factory.mktemp("away") / "leaves")
    lines = start(yard, "leaves", str(away), rgb=False, own_network=False).lines()
    assert "Check it: ./pants run src/python/models -- check leaves" in lines
    assert any("outside the repository" in line for line in lines)
    assert "pipeline -- run --since HEAD~1 --model leaves" in lines[-1]


def test_model_that_is_there_is_never_written_over(yard, tmp_path):
    leaves = str(pictures(tmp_path / "leaves"))
    start(yard, "leaves", leaves, rgb=False, own_network=False)
    (yard / "models/leaves/card.md").write_text("mine")
    with pytest.raises(Conflict, match="is there already"):
        start(yard, "leaves", leaves, rgb=False, own_network=False)
    assert (yard / "models/leaves/card.md").read_text() == "mine"


@pytest.mark.parametrize("name", ["Leaves", "a/b", "..", "", "a_b", "-x"])
def test_name_that_can_be_none_is_refused_and_nothing_is_written(yard, tmp_path, name):
    with pytest.raises(UsageError, match=re.escape(f"{name!r} can't be a model's name; use up to 63 lower-case")):
        start(yard, name, str(pictures(tmp_path / "leaves")), rgb=False, own_network=False)
    assert [path.name for path in (yard / "models").iterdir()] == ["first"]


def test_folder_that_is_no_dataset_leaves_nothing_behind(yard, tmp_path):
    with pytest.raises(DataRefused):
        start(yard, "leaves", str(tmp_path / "nowhere"), rgb=False, own_network=False)
    assert not (yard / "datasets").exists()
    assert not (yard / "models" / "leaves").exists()


def test_folders_of_patients_are_read_where_the_import_a_flag_or_the_settings_say_so(yard, tmp_path):
    images = tmp_path / "scans"
    for place in ("A/p1/1.png", "B/p1/2.png", "B/3.png"):
        (images / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (40, 40), len(place)).save(images / place)
    with pytest.raises(DataRefused, match="models new`: --groups folder"):
        start(yard, "unsaid", str(images), rgb=False, own_network=False)
    with pytest.raises(UsageError, match=r"groups under .dataset. is 'files'"):
        start(yard, "unsaid", str(images), rgb=False, own_network=False, groups="files")
    start(yard, "said", str(images), rgb=False, own_network=False, groups="folder")
    (images / MARK).write_text("hash\n")
    start(yard, "imported", str(images), rgb=False, own_network=False)
    for name in ("said", "imported"):
        dataset = models.find(name, yard).settings.dataset
        assert dataset.groups == "folder" and promise(dataset.uri).images == 3
    with (yard / "trainyard.toml").open("a") as stream:
        stream.write('[dataset]\ngroups = "folder"\n')
    (images / MARK).unlink()
    start(yard, "everywhere", str(images), rgb=False, own_network=False)
    assert "groups" not in (yard / "models/everywhere/model.toml").read_text()
    assert models.find("everywhere", yard).settings.dataset.groups == "folder"


def test_bucket_is_read_as_it_is_and_gets_no_pointer(yard, tmp_path, monkeypatch):
    images = pictures(tmp_path / "fetched", labels=("maple", "oak", "ash"))
    monkeypatch.setattr("models.new.locate", lambda uri, progress: {"gs://images/leaves": images}[uri])
    made = start(yard, "leaves", "gs://images/leaves", rgb=True, own_network=False)
    found = models.find("leaves", yard)
    assert found.settings.dataset.uri == "gs://images/leaves"
    assert not (yard / "datasets").exists()
    assert "telling apart: ash, maple, oak" in (made.folder / "card.md").read_text()
    assert any("No push tells of new images in gs://images/leaves" in line for line in made.lines())
    assert "`git add models`" in made.lines()[-1]


def test_pointer_that_is_there_is_shared(yard, tmp_path):
    start(yard, "leaves", str(pictures(tmp_path / "leaves")), rgb=True, own_network=False)
    pointer = yard / "datasets" / "leaves.toml"
    before = pointer.read_bytes()
    start(yard, "again", str(pointer), rgb=False, own_network=False)
    assert models.find("again", yard).settings.dataset.uri == str(pointer)
    assert 'uri = "datasets/leaves.toml"' in (yard / "models/again/model.toml").read_text()
    assert pointer.read_bytes() == before and not (yard / "datasets/again.toml").exists()


def test_dataset_that_comes_with_trainyard_needs_no_pointer(yard):
    start(yard, "numbers", "digits", rgb=False, own_network=False)
    assert models.find("numbers", yard).settings.dataset.uri == "digits"


@pytest.mark.parametrize(
    ("dataset", "told"),
    [
        ("s3://images/leaves", "'s3://images/leaves' can't be a dataset; give a folder, or gs://BUCKET/FOLDER"),
        ("gs:/images/leaves", "'gs:/images/leaves' can't be a dataset"),
        ("gs://", "'gs://' can't be a dataset; write gs://BUCKET or gs://BUCKET/FOLDER"),
        ("", "The dataset is empty"),
    ],
)
def test_other_addresses_are_named_and_nothing_is_written(yard, dataset, told):
    with pytest.raises(UsageError, match=re.escape(told)):
        start(yard, "leaves", dataset, rgb=False, own_network=False)
    assert not (yard / "datasets").exists() and not (yard / "models" / "leaves").exists()


def test_dataset_of_a_user_that_is_not_here_is_said(yard):
    with pytest.raises(UsageError, match="names a user that this machine does not know"):
        start(yard, "leaves", "~nobody-at-all/leaves", rgb=False, own_network=False)


@pytest.mark.parametrize("name", ["new", "find", "training", "models"])
def test_model_may_be_called_like_a_module(yard, tmp_path, name):
    start(yard, name, str(pictures(tmp_path / "leaves")), rgb=False, own_network=True)
    code = f"import models, models.find, models.new; print(models.find({name!r}).name, models.find.__module__)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=yard, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == [name, "models.find"], done.stderr


def test_missing_line_in_the_build_card_and_broken_test_are_told(yard, tmp_path):
    start(yard, "leaves", str(pictures(tmp_path / "leaves")), rgb=False, own_network=False)
    folder = yard / "models" / "leaves"
    (folder / "BUILD").write_text("# model()\n")
    (folder / "card.md").unlink()
    (folder / "tests" / "test_leaves.py").write_text("def test(:\n")
    build, card, test = check.problems("leaves", yard)
    assert "lacks the line `model()`" in build
    assert "card.md is missing" in card
    assert "test_leaves.py is not valid Python" in test


def test_network_whose_program_is_killed_is_told(yard, monkeypatch):
    (yard / "models/first/card.md").write_text("# first\n")
    (yard / "models/first/BUILD").write_text("model()\n")
    (yard / "killed.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    monkeypatch.setattr(check, "_NETWORK_CHECK", "killed")
    (told,) = check.problems("first", yard)
    assert "ended by SIGKILL; too little memory is the usual cause" in told


def test_network_whose_program_does_not_end_is_told(yard, monkeypatch):
    (yard / "models/first/card.md").write_text("# first\n")
    (yard / "models/first/BUILD").write_text("model()\n")
    (yard / "waiting.py").write_text("import time\ntime.sleep(1000)\n")
    monkeypatch.setattr(check, "_NETWORK_CHECK", "waiting")
    monkeypatch.setattr(check, "_SECONDS", 2)
    (told,) = check.problems("first", yard)
    assert "look for what waits or goes on for ever in its code" in told


def test_list_shows_each_model_and_a_registry_that_cannot_be_read(yard, tmp_path):
    start(yard, "leaves", str(pictures(tmp_path / "leaves")), rgb=True, own_network=True)
    (yard / "registry").mkdir()
    (yard / "registry" / "first").write_text("a file in the way")
    first, leaves = listing.rows(yard)
    assert (first.model, leaves.model) == ("first", "leaves")
    assert "is a file" in first.problem
    assert (leaves.network, leaves.input, leaves.production) == ("its own", "96x96 rgb", None)
    text = listing.table([first, leaves])
    assert "96x96 rgb" in text and "is a file" in text


def test_list_away_from_any_model_says_where_to_call_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(UsageError, match=r"There are no models: .* as seen from .*; call this in a clone"):
        list_models()
    list_models(as_json=True)  # for programs, as ever
    assert capsys.readouterr().out.split() == ["[]"]
