"""Networks of keras.applications under our input and our head, with a kernel machine beside.

Only those that normalise their own input (0 to 255, three channels) are taken, so that the exported model keeps the one
contract: pixels in, probabilities out.
"""

import hashlib
import inspect
from dataclasses import dataclass
from pathlib import Path

import keras
from keras import KerasTensor, ops

from imaging import ImageInput
from training.family import NoWeights, Pretrained
from training.head import Head
from training.networks.kernel_machine import joined, standardised

NONE, IMAGENET = "none", "imagenet"
# Weights that know something already are easily spoilt.
SCHEDULE = {"learning_rate": 1e-3}
_NAME = "backbone"


@dataclass(frozen=True)
class Parameters:
    """What a network is built from.

    Raises:
        ValueError: there is no such backbone.
    """

    backbone: str = "MobileNetV3Small"  # one of `names`
    # What the backbone begins with: "imagenet" (downloaded), a .h5 file of such, without the top, or "none". Empty in
    # records of before this was told.
    weights: str = IMAGENET
    landmarks: int = 1024  # images and mirror images that the kernel machine compares with; 0: there is none

    def __post_init__(self) -> None:
        if self.backbone not in names():
            raise ValueError(f"There is no backbone '{self.backbone}' to build on; name one of {', '.join(names())}.")
        if not 0 <= self.landmarks <= 65536:
            raise ValueError(f"Expected landmarks between 0 and 65536. Received: {self.landmarks}")


def names() -> list[str]:
    """The backbones there are."""
    found = inspect.getmembers(keras.applications, inspect.isfunction)
    # The first EfficientNets always normalise, and so have no argument that says so.
    return sorted(
        name
        for name, make in found
        if "include_preprocessing" in inspect.signature(make).parameters or name.startswith("EfficientNetB")
    )


def build(parameters: Parameters, image: ImageInput, classes: int) -> keras.Model:
    """Pixels float32 [N, *image.shape] in 0..255 -> logits float32 [N, classes]."""
    pixels = keras.Input(image.shape, name="pixels")
    features = _features(pixels, parameters.backbone)
    logits = Head(classes, name="head")(features)
    if parameters.landmarks:
        logits = joined(logits, standardised(pixels), parameters.landmarks)
    return keras.Model(pixels, logits)


def pretrained(parameters: Parameters, image: ImageInput) -> Pretrained | None:
    """
    Raises:
        FileNotFoundError: the file of weights is not there.
        NoWeights: they can't be had.
    """
    if parameters.weights == NONE:
        return None
    known = parameters.weights == IMAGENET
    if not known and not Path(parameters.weights).is_file():
        raise FileNotFoundError(f"{parameters.weights} is no file; give --weights imagenet, none, or a .h5 file.")
    try:
        body = _body(parameters.backbone, image.size, IMAGENET if known else None)
        if not known:
            body.load_weights(parameters.weights)
    except Exception as error:  # Keras raises plain Exceptions for downloads, and HDF5 what it likes.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if known:
            raise NoWeights(
                f"The ImageNet weights of {parameters.backbone} can't be downloaded ({reason}); fetch the file of its "
                "weights without the top (…_notop.h5) where you can and give it as --weights FILE, or begin at random "
                "with --weights none.",
                may_pass=True,
            ) from None
        raise NoWeights(
            f"{parameters.weights} holds no weights of {parameters.backbone} without its top ({reason})."
        ) from None
    arrays = body.get_weights()
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    return Pretrained(digest, lambda network: network.get_layer(_NAME).set_weights(arrays))


def _features(pixels: KerasTensor, backbone: str) -> KerasTensor:
    """Pixels float32 [N, H, W, C] in 0..255 -> features float32 [N, F], with random weights."""
    colours = pixels if pixels.shape[-1] == 3 else ops.repeat(pixels, 3, axis=-1)
    return _body(backbone, pixels.shape[1], None)(colours)


def _body(name: str, side: int, weights: str | None) -> keras.Model:
    make = getattr(keras.applications, name)
    return make(include_top=False, weights=weights, input_shape=(side, side, 3), pooling="avg", name=_NAME)
