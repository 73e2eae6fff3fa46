"""The dataset that grows: first most images, later the rest."""

import pytest

from dataset import scan, write_sample
from quickstart.data import GrowingDataset


def digests(folder):
    return {(image.label, image.sha256) for image in scan(folder, 0).images}


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "own"
    write_sample(folder, images_per_class=20, seed=1)
    return folder


def test_users_images_come_in_two_parts_that_make_the_whole(own, tmp_path):
    before = sorted(path for path in own.rglob("*"))
    data = GrowingDataset(tmp_path / "copy", own, 0)
    first = {(image.label, image.sha256) for image in data.begin().images}
    assert first < digests(own)
    assert len(data.grow().images) == 60
    assert digests(tmp_path / "copy") == digests(own)
    assert sorted(path for path in own.rglob("*")) == before


def test_images_that_came_later_move_no_earlier_one_to_another_split(own, tmp_path):
    data = GrowingDataset(tmp_path / "copy", own, 0)
    first = {image.sha256: image.split for image in data.begin().images}
    data.grow()
    later = {image.sha256: image.split for image in scan(tmp_path / "copy", 0).images}
    assert first.items() <= later.items()


def test_files_of_one_name_in_both_layouts_are_both_taken(own, tmp_path):
    image = next((own / "COVID" / "images").iterdir())
    other = next((own / "COVID" / "images").glob("*-2.png"))
    (own / "COVID" / image.name).write_bytes(other.read_bytes())
    other.unlink()
    data = GrowingDataset(tmp_path / "copy", own, 0)
    data.begin()
    data.grow()
    assert digests(tmp_path / "copy") == digests(own)
