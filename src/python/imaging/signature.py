"""How a SavedModel tells what its input is, so that every version is asked with pixels of its own kind.

Size and channels are the shape of `pixels` in the signature `serving_default`. The rest are the names of the outputs
of a second signature, `imaging`: "oblong=pad", "white=65535". Names, because they are metadata, which a model server
tells of any version without running it: TensorFlow Serving refuses to run a signature without inputs while it gathers
requests into batches. A model without this signature is one of those that know no other settings than the defaults.
"""

from collections.abc import Iterable, Sequence

from imaging.input import ImageInput

NAME = "imaging"


def outputs(wanted: ImageInput) -> dict[str, str]:
    """The outputs of the signature: name -> value, a string without dimensions."""
    return {f"{key}={value}": str(value) for key, value in (("oblong", wanted.oblong), ("white", wanted.white))}


def read(shape: Sequence[int], names: Iterable[str] = ()) -> ImageInput:
    """The input of a model whose `pixels` have `shape` ([N, H, W, C], -1 open), with such outputs of `imaging`.

    Raises:
        ValueError: pixels of this shape, or a setting, can't be made by this version of Trainyard.
    """
    if len(shape) != 4 or shape[1] != shape[2] or shape[1] < 1:
        raise ValueError(f"Expected pixels of the shape [N, size, size, channels]. Received: {list(shape)}")
    settings: dict[str, str] = {}
    for name in sorted(names):
        key, _, value = name.partition("=")
        if key in settings:
            raise ValueError(f"Expected one value for {key}. Received: {settings[key]} and {value}")
        settings[key] = value
    oblong, white = settings.pop("oblong", "stretch"), settings.pop("white", "65535")
    if settings:
        raise ValueError(f"Expected no settings but oblong and white. Received: {', '.join(settings)}")
    if not (white.isascii() and white.isdecimal()):
        raise ValueError(f"Expected a whole number for white. Received: {white!r}")
    return ImageInput(shape[1], shape[3], oblong, int(white))
