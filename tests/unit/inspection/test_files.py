"""A SavedModel folder holds what TensorFlow writes, and nothing else."""

import os

import pytest

from inspection import files, problems
from testkit.graphs import LABELS, SIZE, meta_graph, write


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "1", meta_graph())


def said(folder):
    return problems(folder, LABELS, SIZE)


def put(folder, name, content=b"content"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_all_that_an_export_may_hold_is_expected(folder):
    for name in ("fingerprint.pb", "assets/a/names.txt", "assets.extra/tf_serving_warmup_requests"):
        put(folder, name)
    put(folder, files.DEBUG_INFO, b"")
    (folder / "empty").mkdir()
    assert said(folder) == []


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("scaler.pkl", "is a pickle"),
        ("assets.extra/x.joblib", "is a pickle"),
        ("assets/labels.pkl", "is a pickle"),
        ("assets/a/model.keras", "is a Keras file"),
        ("old/model.H5", "is a Keras file"),
        ("1.tar.gz", "is an archive"),
        ("variables/load.py", "is a program"),
        ("saved_model.pbtxt", "is a second form of the graph"),
        ("saved_model.cpb", "is a second form of the graph"),
        ("keras_metadata.pb", "is not part of a SavedModel"),
        ("variables/variables.data-0-of-1", "is not part of a SavedModel"),
        ("assets.extra/other", "is not part of a SavedModel"),
        ("debug/other", "is not part of a SavedModel"),
        ("debug/saved_model_debug_info.pb", "holds 7 bytes, where an export has an empty file"),
    ],
)
def test_anything_else_is_named_and_refused(folder, name, what):
    put(folder, name)
    assert [reason.startswith(f"{name} {what}") for reason in said(folder)] == [True]


def test_a_name_that_tries_to_write_lines_is_shown_on_one(folder):
    put(folder, "evil\nAll fine\x1b[2J" + "x" * 200)
    (reason,) = said(folder)
    assert reason.isprintable() and len(reason) < 300


def test_special_files_and_links_are_refused(folder, tmp_path):
    os.mkfifo(folder / "assets")
    (folder / "saved_model.pb").rename(tmp_path / "elsewhere")
    (folder / "saved_model.pb").symlink_to(tmp_path / "elsewhere")
    reasons = said(folder)
    assert any(reason.startswith("assets is a special file") for reason in reasons)
    assert any(reason.startswith("saved_model.pb is a link") for reason in reasons)


def test_a_link_to_a_model_is_no_model(folder, tmp_path):
    (tmp_path / "2").symlink_to(folder)
    assert "2 is not a folder" in said(tmp_path / "2")[0]


def test_what_is_no_folder_is_a_reason(tmp_path):
    put(tmp_path, "model.keras")
    assert "model.keras is not a folder" in said(tmp_path / "model.keras")[0]
    assert "can't be read" in said(tmp_path / "missing")[0]
    assert "can't be read" in said(tmp_path / "a\0b")[0]


def test_a_folder_of_too_many_files_is_refused(folder, monkeypatch):
    monkeypatch.setattr(files, "MAX_ENTRIES", 4)  # a folder and three files
    assert said(folder) == []
    put(folder, "fingerprint.pb")
    assert "more than 4 files" in said(folder)[0]


def test_of_many_bad_files_the_first_are_named_and_the_rest_counted(folder):
    for number in range(50):
        put(folder, f"{number:02d}.pkl")
    reasons = said(folder)
    assert len(reasons) == 21 and reasons[-1] == "There are 30 more files of this sort."


DATA = "variables/variables.data-{:05d}-of-{:05d}"


@pytest.mark.parametrize(
    ("shards", "fragment"),
    [
        ([], "00000-of-00001 is missing"),
        ([(0, 2)], "00001-of-00002 is missing"),
        ([(0, 1), (0, 2), (1, 2)], "of several sets, of 1 and 2"),
        ([(1, 4)], "00000-of-00004 (and 2 more) is missing"),
        ([(0, 1), (1, 1)], "00001-of-00001 has a number past the last one"),
    ],
)
def test_shards_are_a_whole_set(folder, shards, fragment):
    (folder / DATA.format(0, 1)).unlink()
    for shard in shards:
        put(folder, DATA.format(*shard))
    assert [fragment in reason for reason in said(folder)] == [True]


@pytest.mark.parametrize("name", [files.INDEX, DATA.format(0, 1)])
def test_empty_variables_are_refused(folder, name):
    put(folder, name, b"")
    assert [reason.startswith(f"{name} is empty") for reason in said(folder)] == [True]


def test_a_model_without_variables_needs_no_files_of_them(tmp_path):
    meta = meta_graph()
    meta.graph_def.node[0].op = "Const"
    folder = write(tmp_path / "1", meta)
    for path in (folder / "variables").iterdir():
        path.unlink()
    assert said(folder) == []
