import numpy as np
from PIL import Image

from dataset import scan, write_sample


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.png")}


def test_same_seed_draws_the_same_images(tmp_path):
    write_sample(tmp_path / "a", 2, seed=3)
    write_sample(tmp_path / "b", 2, seed=3)
    write_sample(tmp_path / "c", 2, seed=4)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert not set(contents(tmp_path / "a").values()) & set(contents(tmp_path / "c").values())


def test_larger_sample_holds_the_smaller(tmp_path):
    write_sample(tmp_path / "small", 2, seed=3)
    write_sample(tmp_path / "large", 3, seed=3)
    small, large = contents(tmp_path / "small"), contents(tmp_path / "large")
    assert len(large) == 9
    assert small.items() <= large.items()


def test_sample_has_kaggles_layout_and_image_format(tmp_path):
    write_sample(tmp_path, 3, seed=0)
    data = scan(tmp_path, 0.0)
    assert data.labels == ["COVID", "Normal", "Viral Pneumonia"]
    assert data.counts() == dict.fromkeys(data.labels, 3)
    for image in data.images:
        assert image.path.parent.name == "images"
        with Image.open(image.path) as picture:
            assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (299, 299))


def test_phantoms_use_the_gray_scale_like_a_radiograph(tmp_path):
    write_sample(tmp_path, 2, seed=0)
    for image in scan(tmp_path, 0.0).images:
        pixels = np.asarray(Image.open(image.path))
        assert pixels.std() > 30
        assert 50 < pixels.mean() < 180
