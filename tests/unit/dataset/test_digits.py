import numpy as np
import pytest
from PIL import Image

from dataset import DataRefused, locate, pointer, scan
from settings import BUILT_IN_DATASETS, load


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    # One for all tests of this file: writing 1,797 files takes a second.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "digits-cache"))


def test_digits_are_ten_classes_of_real_pictures(tmp_path):
    folder = locate("digits")
    files = {path.relative_to(folder) for path in folder.rglob("*.png")}
    assert len(files) == 1797
    assert sorted(path.name for path in folder.iterdir()) == list("0123456789")
    with Image.open(folder / "0" / "0-1.png") as first:
        assert (first.mode, first.size) == ("L", (8, 8))
        gray = np.asarray(first)
    # The first digit of the collection: a ring of ink around an empty middle.
    assert gray[3].tolist() == [0, 64, 191, 0, 0, 128, 128, 0]


def test_every_class_of_digits_is_on_every_side_of_the_split():
    data = scan(locate("digits"), 0.0)
    assert len(data.images) == 1797
    assert data.lacking() == []


def test_pointer_to_more_digits_keeps_the_fewer(tmp_path):
    file = tmp_path / "digits.toml"
    file.write_text("[digits]\nimages = 30\n")
    fewer = locate(str(file))
    assert len(list(fewer.rglob("*.png"))) == 30
    file.write_text("[digits]\n")
    more = locate(str(file))
    assert more == locate("digits")
    for path in fewer.rglob("*.png"):
        assert (more / path.relative_to(fewer)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[digits]\nimages = 1798\n", r"images must be a whole number from 1 to 1797. Received: 1798"),
        ("[digits]\nimages = true\n", r"images must be a whole number"),
        ("[sample]\nimages_per_class = 3\nseed = -1\n", r"seed must be a whole number from 0 on. Received: -1"),
        ("digits = 3\n", r"is not a pointer to a dataset; write images_per_class and seed below \[sample\], or"),
        ("[else]\n", r"is not a pointer"),
        ("[digits\n", r"is not a pointer"),
    ],
)
def test_pointer_that_says_nothing_usable_is_refused(tmp_path, content, said):
    file = tmp_path / "digits.toml"
    file.write_text(content)
    with pytest.raises(DataRefused, match=said):
        locate(str(file))


def test_settings_take_names_of_built_in_datasets_for_no_paths(tmp_path):
    assert {pointer.SAMPLE, pointer.DIGITS} == set(BUILT_IN_DATASETS)
    for name in BUILT_IN_DATASETS:
        assert load(tmp_path, {"TRAINYARD_DATASET_URI": name}).dataset.uri == name
