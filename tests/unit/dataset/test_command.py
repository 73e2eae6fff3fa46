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


def test_check_names_the_next_command_to_paste(root, dataset, tmp_path):
    (tmp_path / "data").rename(tmp_path / "my data")
    done = dataset("check", "--dataset", "my data")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "Next, train: ./pants run src/python/training:train -- --dataset 'my data'"
    # What is refused can't be trained on.
    shutil.copy(tmp_path / "my data/Normal/images/3.png", tmp_path / "my data/COVID/copy.png")
    assert "Next" not in dataset("check", "--dataset", "my data").stderr


def test_import_tells_of_classes_that_may_be_one_also_beside_what_was_there(root, dataset, tmp_path):
    (root / "Normal").rename(root / "covid")
    told = "note: 'COVID' and 'covid' count as 2 classes"
    assert told in dataset("import", "data", "--to", "both").stderr
    (root / "COVID").rename(tmp_path / "COVID")
    (tmp_path / "more").mkdir()
    (tmp_path / "COVID").rename(tmp_path / "more" / "COVID")
    assert told not in dataset("import", "data", "--to", "apart").stderr
    assert told in dataset("import", "more", "--to", "apart").stderr


def test_pointer_to_what_was_imported_by_groups_is_what_a_check_by_groups_finds(root, dataset, tmp_path):
    assert dataset("import", "data", "--to", "made", "--groups", r"pattern:^(\d)").returncode == 0
    done = dataset("point", "--dataset", "made", "made.toml")
    assert "made.toml: 80 images; commit it" in done.stderr
    (tmp_path / "trainyard.toml").write_text('[dataset]\ngroups = "folder"\n')
    assert "holds other images" not in dataset("check", "--dataset", "made.toml").stderr


def test_refusal_is_said_once(root, dataset):
    shutil.copy(root / "Normal" / "images" / "3.png", root / "COVID" / "copy.png")
    assert dataset("check", "--dataset", "data").stderr.count("The same image is labelled") == 1


def test_refusal_of_many_classes_is_a_few_lines(root, dataset):
    for number in range(30):
        (root / f"c{number}").mkdir()
        shutil.copy(root / "Normal" / "images" / f"{number}.png", root / f"c{number}")
    shutil.rmtree(root / "Normal")
    said = dataset("check", "--dataset", "data").stderr
    assert said.count("refused: Class 'c") == 3 and "error: Class 'c0' has 1 image and" in said
    assert "(29 more reasons: see `check --report FILE`)" in said


def test_import_of_one_class_names_no_training_and_one_of_a_picture_the_folder(root, dataset, tmp_path):
    shutil.rmtree(root / "COVID")
    said = dataset("import", "data", "--to", "one").stderr
    assert "note: one holds just one class, 'Normal'; a classifier needs two or more" in said
    assert "Next, train" not in said and "dataset -- check --dataset one" in said
    said = dataset("import", "data/Normal/images/3.png", "--to", "two").stderr
    assert said.splitlines()[-1].endswith(
        "3.png is one image; name the folder that holds one folder of images per class."
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["import", "gs://there/pictures", "--to", "here"], "error: gs://there/pictures can't be imported from; fetch"),
        (
            ["import", "data", "--to", "gs://there/images"],
            "error: gs://there/images can't be imported to; name a folder",
        ),
        (["point", "x.toml", "--dataset", "gs://there/images"], "error: gs://there/images needs no pointer; name it"),
    ],
)
def test_bucket_where_a_folder_is_needed_is_told_and_none_is_made(root, dataset, tmp_path, arguments, told):
    done = dataset(*arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(told)
    assert not list(tmp_path.glob("gs*"))


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
