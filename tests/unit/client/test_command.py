import csv
import io
import json
import threading
import time

import pytest
from typer.testing import CliRunner

from serving.client.__main__ import app
from tests.unit.adapter.fakes import FakeModelServer, adapter
from tests.unit.adapter.images import gray

DATA_REFUSED = 4
INFRASTRUCTURE = 6
USAGE = 2


@pytest.fixture
def command(served):
    return lambda *arguments: CliRunner().invoke(app, [*map(str, arguments), "--address", served.grpc])


@pytest.fixture
def bright(tmp_path):
    path = tmp_path / "bright.png"
    path.write_bytes(gray(255))
    return path


def exit_code(result):
    """As `cli.run` would leave with."""
    return result.exception.exit_code if hasattr(result.exception, "exit_code") else result.exit_code


def last_line(result):
    return json.loads(result.stdout.splitlines()[-1])


def test_json_holds_an_entry_for_every_file_in_order(command, bright, tmp_path):
    (tmp_path / "dark.jpg").write_bytes(gray(0, kind="JPEG"))

    result = command("classify", bright, tmp_path / "dark.jpg", "--json")

    assert exit_code(result) == 0
    assert last_line(result) == [
        {
            "file": str(bright),
            "label": "COVID",
            "scores": {"COVID": 1.0, "Normal": 0.0, "Pneumonia": 0.0},
            "version": 1,
        },
        {
            "file": str(tmp_path / "dark.jpg"),
            "label": "Normal",
            "scores": {"Normal": 0.5, "Pneumonia": 0.5, "COVID": 0.0},
            "version": 1,
        },
    ]


def test_bad_files_are_entries_and_make_the_exit_code_four(command, bright, tmp_path):
    (tmp_path / "notes.png").write_text("hello")

    result = command("classify", tmp_path / "notes.png", tmp_path / "absent.png", bright, "--json")

    assert exit_code(result) == DATA_REFUSED
    notes, absent, good = last_line(result)
    assert notes == {"file": str(tmp_path / "notes.png"), "error": notes["error"]}
    assert "not an image" in notes["error"]
    assert "no such file" in absent["error"]
    assert good["label"] == "COVID"


def test_folder_stands_for_the_images_in_it_and_below(command, tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("z.png", "b/a.JPG", "b/notes.txt"):
        (tmp_path / name).write_bytes(gray(1))

    result = command("classify", tmp_path, "--json")

    assert [entry["file"] for entry in last_line(result)] == [str(tmp_path / name) for name in ("b/a.JPG", "z.png")]


def test_many_files_keep_their_order(command, tmp_path):
    for n in range(60):
        (tmp_path / f"{n:03}.png").write_bytes(gray(255 if n % 3 else 0))

    entries = last_line(command("classify", tmp_path, "--json"))

    assert [entry["label"] for entry in entries] == ["COVID" if n % 3 else "Normal" for n in range(60)]


def test_csv_has_a_row_per_file_and_a_column_per_class(command, bright, tmp_path):
    (tmp_path / "notes.png").write_text("hello")

    rows = list(csv.DictReader(io.StringIO(command("classify", bright, tmp_path / "notes.png", "--csv").stdout)))

    assert rows[0]["file"] == str(bright)
    assert (rows[0]["label"], rows[0]["version"], rows[0]["COVID"]) == ("COVID", "1", "1.0")
    assert (rows[1]["label"], rows[1]["COVID"]) == ("", "")
    assert "not an image" in rows[1]["error"]


def test_people_see_a_bar_per_class(command, bright):
    text = command("classify", bright).stdout

    assert "COVID     ████████████████████████ 100.0%" in text
    assert "Normal    ░░░░░░░░░░░░░░░░░░░░░░░░   0.0%" in text
    assert "version 1" in text


def test_absent_adapter_is_an_infrastructure_error(bright):
    result = CliRunner().invoke(app, ["classify", str(bright), "--address", "127.0.0.1:1"])

    assert exit_code(result) == INFRASTRUCTURE
    assert "127.0.0.1:1" in str(result.exception)
    assert "--wait 60" in str(result.exception)


def test_empty_folder_is_refused(command, tmp_path):
    result = command("classify", tmp_path)

    assert exit_code(result) == DATA_REFUSED
    assert str(tmp_path) in str(result.exception)


@pytest.mark.parametrize("flags", [["--json", "--csv"], ["--version", "1", "--version-label", "x"], ["--version", "0"]])
def test_contradictory_flags_are_wrong_usage(command, bright, flags):
    assert exit_code(command("classify", bright, *flags)) == USAGE


def test_model_tells_what_is_served(command):
    assert last_line(command("model", "--json")) == {
        "name": "chest-xray",
        "versions": {"1": "AVAILABLE"},
        "version_labels": {"stable": 1},
        "labels": ["COVID", "Normal", "Pneumonia"],
        "image_size": 8,
        "channels": 1,
        "oblong": "stretch",
        "white": 65535,
    }
    text = command("model").stdout
    assert "AVAILABLE" in text
    assert "8x8 pixels, gray, oblong ones" in text


@pytest.mark.parametrize("asking", ["classify", "model"])
def test_an_adapter_that_is_still_starting_is_waited_for(bright, asking):
    model_server, over = FakeModelServer(), threading.Event()
    with model_server.serving():
        port = model_server.port

    def begin_later():
        time.sleep(1)
        with model_server.serving(f"127.0.0.1:{port}"):
            over.wait(120)

    with adapter(f"127.0.0.1:{port}") as it:
        call = [asking, *([str(bright)] if asking == "classify" else []), "--address", it.grpc]
        refused = CliRunner().invoke(app, call)
        starting = threading.Thread(target=begin_later)
        starting.start()
        answered = CliRunner().invoke(app, [*call, "--wait", "100"])
        over.set()
        starting.join(30)
    assert (exit_code(answered), exit_code(refused)) == (0, INFRASTRUCTURE)


def test_waiting_ends_with_the_reason(model_server, command, bright):
    model_server.labels.clear()
    result = command("classify", bright, "--wait", "1")
    assert exit_code(result) == INFRASTRUCTURE
    assert "no version labelled 'stable' loaded yet. Waited 1 s." in str(result.exception)
    assert exit_code(CliRunner().invoke(app, ["model", "--address", "127.0.0.1:1", "--wait", "0.5"])) == INFRASTRUCTURE


def test_every_usual_name_of_a_jpeg_in_a_folder_is_classified(command, tmp_path):
    for suffix in ("jpg", "jpeg", "jpe", "jfif", "JPG"):
        (tmp_path / f"{suffix}.{suffix}").write_bytes(gray(255, kind="JPEG"))
    assert len(last_line(command("classify", tmp_path, "--json"))) == 5
