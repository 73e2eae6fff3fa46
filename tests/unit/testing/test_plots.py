"""Plots are PNGs, whatever the classes are called."""

import io

import pytest
from PIL import Image

from testing import plots

NAMES = ("version 2", "version 1")
EVIL = ["$x^{", "$$", "a\nb\0c", "half \udcff", "<b>", "", "肺炎", "x" * 300, "\\frac"]


def size(png):
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        assert image.format == "PNG"
        return image.size


def colors(png):
    """The colours of a picture and how many pixels have each."""
    with Image.open(io.BytesIO(png)) as image:
        return {color: count for count, color in image.convert("RGB").getcolors(1 << 24)}


def rgb(hexadecimal):
    return tuple(bytes.fromhex(hexadecimal.removeprefix("#")))


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("label", EVIL)
def test_class_may_have_any_name(label):
    per_class = {label: 0.5, "b": 1.0}
    assert size(plots.confusion([[1, 2], [3, 4]], [label, "b"]))
    assert size(plots.recall(per_class, per_class, NAMES))


def test_confusion_is_sharp_at_480_pixels_and_light():
    png = plots.confusion([[16, 2], [0, 9]], ["COVID", "Normal"])
    width, height = size(png)
    assert width == 960
    assert 400 < height < 1000
    found = colors(png)
    assert max(found, key=found.get) == (255, 255, 255)


def test_confusion_shades_a_cell_by_its_share_of_the_row():
    full, none = rgb(plots.LIGHT.shades[1]), rgb(plots.LIGHT.shades[0])
    right = colors(plots.confusion([[1000, 0], [0, 3]], ["a", "b"]))
    half = colors(plots.confusion([[500, 500], [2, 2]], ["a", "b"]))
    # The rare class is as dark as the frequent one: nothing is in between.
    assert right[full] > 100_000 and right[none] > 100_000
    assert half.get(full, 0) == 0


@pytest.mark.parametrize("confusion", [[], [[0]], [[0, 0], [0, 0]], [[1] * 40] * 40])
def test_any_matrix_can_be_drawn(confusion):
    assert size(plots.confusion(confusion, [f"class {n}" for n in range(len(confusion))]))


def test_bars_of_production_stand_beside_only_where_there_is_one():
    per_class = {"a": 0.9}
    color = rgb(plots.LIGHT.production)
    assert color not in colors(plots.recall(per_class, None, NAMES))
    assert colors(plots.recall(per_class, per_class, NAMES))[color] > 10_000
    # A class that production does not know has no bar there.
    assert size(plots.recall(per_class, {"b": 1.0}, NAMES))


@pytest.mark.parametrize(
    ("candidate", "production"),
    [([5.0], []), ([5.0, 5.0], [5.0]), ([0.0, 0.0], []), ([1.0, 2.0, 90_000.0], [3.0] * 200)],
)
def test_any_latencies_can_be_drawn(candidate, production):
    assert size(plots.latency(candidate, production, NAMES))


def test_theme_is_kept_and_the_same_figures_make_the_same_file():
    light, dark = (plots.confusion([[1]], ["a"], theme) for theme in (plots.LIGHT, plots.DARK))
    assert rgb(plots.DARK.paper) in colors(dark) and rgb(plots.DARK.paper) not in colors(light)
    assert light == plots.confusion([[1]], ["a"])
