"""What a SavedModel tells of its input is read as it was written, and nothing is guessed."""

import pytest

from imaging import ImageInput
from imaging.signature import outputs, read


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("oblong", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("white", [1, 4095, 65535])
def test_what_is_written_is_read(channels, oblong, white):
    wanted = ImageInput(28, channels, oblong, white)
    assert read([-1, *wanted.shape], outputs(wanted)) == wanted


def test_a_model_without_settings_has_the_defaults():
    assert read([-1, 28, 28, 3]) == ImageInput(28, 3)
    assert read([-1, 28, 28, 3], ["oblong=pad"]) == ImageInput(28, 3, "pad")


@pytest.mark.parametrize("shape", [[], [-1], [-1, 28, 28], [-1, 28, 27, 1], [-1, -1, -1, 1], [-1, 28, 28, 4], [0] * 5])
def test_pixels_that_we_can_not_make_are_refused(shape):
    with pytest.raises(ValueError, match="Expected"):
        read(shape)


@pytest.mark.parametrize(
    "names",
    [["oblong=mirror"], ["white=0"], ["white=-1"], ["white=4095.0"], ["white="], ["white=٣"], ["scale=2"], ["pad"],
     [""], ["oblong=pad", "oblong=crop"]],
)  # fmt: skip
def test_settings_that_we_do_not_know_are_refused(names):
    with pytest.raises(ValueError, match="Expected"):
        read([-1, 28, 28, 1], names)
