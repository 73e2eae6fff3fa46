import json
import os
import shutil
import subprocess
import sys

import pytest


@pytest.fixture
def dataset(tmp_path):
    """dataset(*arguments): the command, in a folder without settings."""

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}

    def run(*arguments):
        command = [sys.executable, "-m", "dataset", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)

    return run


def test_sound_dataset_ends_with_0_and_its_json_is_what_the_next_check_is_held_against(root, dataset, tmp_path):
    done = dataset("check", "--dataset", "data", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["passed"]
    assert found["dataset"]["classes"] == {"COVID": 40, "Normal": 40}
    (tmp_path / "before.json").write_text(done.stdout)
    for number in range(20):
        (root / "COVID" / "images" / f"{number}.png").unlink()
    done = dataset("check", "--dataset", "data", "--previous", "before.json", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert {finding["kind"] for finding in found["findings"]} == {"few", "mix"}
    assert found["previous"] == "before.json"


def test_schema_skew_ends_with_4_and_leaves_a_page_and_json(root, dataset, tmp_path):
    shutil.copy(root / "Normal" / "images" / "3.png", root / "COVID" / "copy.png")
    done = dataset("check", "--dataset", "data", "--report", "check.html", "--json")
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: The same image is labelled 'COVID' and 'Normal'")
    finding, _ = json.loads(done.stdout.splitlines()[-1])["findings"]
    assert (finding["kind"], finding["refused"], finding["count"]) == ("conflict", True, 2)
    assert "Dataset" in (tmp_path / "check.html").read_text()


def test_start_loads_nothing_that_only_some_datasets_need():
    source = "import sys, dataset.__main__; print([n for n in ('google', 'matplotlib', 'yaml') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_missing_folder_and_version_say_what_to_do(dataset, tmp_path):
    done = dataset("check", "--dataset", "nowhere", "--previous", "none")
    assert done.returncode == 4
    # The absolute path: ./pants runs the program in its own folder, not in the caller's.
    assert f"{tmp_path / 'nowhere'} does not exist" in done.stderr and "name a folder" in done.stderr
    done = dataset("check", "--dataset", "nowhere", "--previous", "7")
    assert done.returncode == 2
    done = dataset("fetch", "--dataset", "nowhere")
    assert (done.returncode, f"{tmp_path / 'nowhere'} does not exist" in done.stderr) == (4, True)
