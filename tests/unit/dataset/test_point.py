import shutil
import tomllib

import pytest

from dataset import DataRefused, Limits, examine, locate, open_dataset, scan
from dataset.point import write_pointer
from dataset.pointer import promise
from tests.unit.dataset.conftest import png


@pytest.fixture
def repository(tmp_path, root):
    home = tmp_path / "repository"
    (home / "datasets").mkdir(parents=True)
    shutil.copytree(root, home / "images")
    return home


def test_pointer_says_what_a_scan_of_the_folder_finds(repository):
    pointer = repository / "datasets" / "xrays.toml"
    heard = []
    assert write_pointer(pointer, repository / "images", repository, lambda *told: heard.append(told)) == []
    said = tomllib.loads(pointer.read_text())["folder"]
    assert said == {
        "path": "../images", "images": 80, "fingerprint": scan(repository / "images", 0.0).fingerprint
    }  # fmt: skip
    assert heard[-1] == (80, 80)
    assert locate(str(pointer)) == repository / "images"
    assert "dataset -- point datasets/xrays.toml" in pointer.read_text()


def test_pointer_changes_with_the_images_and_with_nothing_else(repository):
    pointer = repository / "datasets" / "xrays.toml"
    write_pointer(pointer, repository / "images", repository)
    before = pointer.read_bytes()
    (repository / "images" / "COVID" / "images" / "0.png").rename(repository / "images" / "COVID" / "renamed.png")
    write_pointer(pointer, repository / "images", repository)
    assert pointer.read_bytes() == before
    (repository / "images" / "COVID" / "new.png").write_bytes(png(999))
    write_pointer(pointer, repository / "images", repository)
    assert pointer.read_bytes() != before


def test_folder_outside_of_the_repository_is_said_to_be_this_machines_alone(repository, root):
    pointer = repository / "datasets" / "xrays.toml"
    (note,) = write_pointer(pointer, root, repository)
    assert f"{root} is outside the repository: xrays.toml is of use on this machine alone" in note
    assert promise(str(pointer)).folder == root


def test_pointer_that_lies_is_refused_with_the_command_that_mends_it(repository):
    pointer = repository / "datasets" / "xrays.toml"
    write_pointer(pointer, repository / "images", repository)
    said = promise(str(pointer))
    said.require(said.fingerprint, 80)
    with pytest.raises(DataRefused, match=rf"\(81 now, 80 when it was written\); call `.* point {pointer}`"):
        said.require("0" * 64, 81)


def test_training_and_tests_refuse_a_folder_that_is_not_what_its_pointer_says(repository):
    pointer = repository / "datasets" / "xrays.toml"
    write_pointer(pointer, repository / "images", repository)
    assert not examine(str(pointer), Limits()).refused
    assert len(open_dataset(str(pointer), 0.0).images) == 80
    (repository / "images" / "COVID" / "new.png").write_bytes(png(999))
    with pytest.raises(
        DataRefused, match=rf"holds other images than {pointer} says \(81 now, 80 when it was written\)"
    ):
        examine(str(pointer), Limits()).require()
    with pytest.raises(DataRefused, match=rf"call `.* -- point {pointer}`, and commit the pointer"):
        open_dataset(str(pointer), 0.0)
    write_pointer(pointer, repository / "images", repository)
    assert not examine(str(pointer), Limits()).refused


def test_pointer_holds_for_unreadable_images_too(repository):
    pointer = repository / "datasets" / "xrays.toml"
    (repository / "images" / "COVID" / "cut.png").write_bytes(png(7)[:-20])
    write_pointer(pointer, repository / "images", repository)
    assert not examine(str(pointer), Limits(max_unreadable=0.1)).refused
    (repository / "images" / "COVID" / "cut.png").write_bytes(png(8)[:-20])
    assert [one.kind for one in examine(str(pointer), Limits(max_unreadable=0.1)).refused] == ["pointer"]


def test_pointer_to_a_folder_that_is_gone_is_named(repository):
    pointer = repository / "datasets" / "xrays.toml"
    write_pointer(pointer, repository / "images", repository)
    shutil.rmtree(repository / "images")
    (finding,) = examine(str(pointer), Limits()).findings
    assert "images does not exist" in finding.message and f"{pointer} names it." in finding.message


@pytest.mark.parametrize("content", ["[folder]\n", '[folder]\npath = "x"\nfingerprint = 3\nimages = 1\n'])
def test_pointer_that_lacks_a_part_is_refused(tmp_path, content):
    file = tmp_path / "xrays.toml"
    file.write_text(content)
    with pytest.raises(DataRefused, match=r"lacks path, fingerprint or images below \[folder\]; write it again with"):
        locate(str(file))


def test_other_pointers_promise_nothing(tmp_path):
    file = tmp_path / "digits.toml"
    file.write_text("[digits]\n")
    assert promise(str(file)) is None
    assert promise("sample") is None
    assert promise("gs://bucket/xrays.toml") is None


def test_the_lines_to_paste_quote_a_pointer_with_a_space(repository):
    pointer = repository / "datasets" / "my xrays.toml"
    write_pointer(pointer, repository / "images", repository)
    assert "dataset -- point 'datasets/my xrays.toml'" in pointer.read_text()
    (repository / "images" / "COVID" / "images" / "0.png").unlink()
    with pytest.raises(DataRefused) as refused:
        promise(str(pointer)).require("another", 79)
    assert f"call `./pants run src/python/dataset -- point '{pointer}'`" in str(refused.value)
