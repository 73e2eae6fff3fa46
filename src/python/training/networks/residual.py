"""A small residual network for the CPU, with its normalisation inside, and a kernel machine beside it."""

from dataclasses import dataclass, replace

import keras
from keras import KerasTensor, layers, ops

from imaging import ImageInput
from training.head import Head
from training.networks.kernel_machine import joined, standardised
from training.step import Schedule

_NEIGHBOURHOOD = 8  # pixels
# Sides below which another size shows no other detail.
_LEAST_TO_VARY = 64  # pixels


@dataclass(frozen=True)
class Parameters:
    """What a network is built from.

    Raises:
        ValueError: a value is out of its range.
    """

    width: int = 32  # channels of the first stage; each further stage doubles them
    stages: int = 4
    blocks: int = 1  # residual blocks a stage
    stride: int = 4  # of the first convolution: fine detail costs most of the time on a CPU and decides little
    landmarks: int = 1024  # images and mirror images that the kernel machine compares with; 0: there is none

    def __post_init__(self) -> None:
        limits = {"width": (1, 1024), "stages": (1, 8), "blocks": (1, 16), "stride": (1, 8), "landmarks": (0, 65536)}
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"Expected {name} between {least} and {most}. Received: {getattr(self, name)}")


def trials(
    parameters: Parameters, image: ImageInput, schedule: Schedule
) -> list[tuple[Parameters, ImageInput, Schedule]]:
    larger = replace(image, size=_sizes(image)[-1])
    # Deeper, for datasets that are larger than the network.
    deeper = replace(parameters, blocks=parameters.blocks + 1)
    slower = replace(schedule, learning_rate=0.75 * schedule.learning_rate)
    # Between them one that sees more detail, at about one and a half times the price.
    found = [(parameters, image, schedule), (parameters, larger, schedule), (deeper, larger, slower)]
    return list(dict.fromkeys(found))


def space(parameters: Parameters, image: ImageInput) -> dict[str, list[int]]:
    return {"size": _sizes(image), "width": [16, 24, 32, 48], "stages": [3, 4], "blocks": [1, 2]}


def _sizes(image: ImageInput) -> list[int]:
    if image.size < _LEAST_TO_VARY:
        return [image.size]
    return [round(image.size * share) for share in (0.75, 1, 1.25)]


def build(parameters: Parameters, image: ImageInput, classes: int) -> keras.Model:
    """Pixels float32 [N, *image.shape] in 0..255 -> logits float32 [N, classes]."""
    pixels = keras.Input(image.shape, name="pixels")
    whole = standardised(pixels)
    # Before the head: the order in which layers are made decides which random weights each begins with.
    features = _trunk(whole, parameters)
    logits = Head(classes, name="head")(features)
    if parameters.landmarks:
        logits = joined(logits, whole, parameters.landmarks)
    return keras.Model(pixels, logits)


def _trunk(whole: KerasTensor, parameters: Parameters) -> KerasTensor:
    """Features float32 [N, F] of images as `standardised` gives them."""
    x = ops.concatenate([whole, _evened(whole)], axis=-1)
    x = _convolution(x, parameters.width, kernel=7, stride=parameters.stride)
    for stage in range(parameters.stages):
        for block in range(parameters.blocks):
            x = _residual(x, parameters.width * 2**stage, stride=2 if stage > 0 and block == 0 else 1)
    return layers.GlobalAveragePooling2D()(x)


def _evened(x: KerasTensor) -> KerasTensor:
    """Each place against its neighbourhood, so that the texture of dim and of bright parts looks alike."""
    x = x - _blurred(x)
    return x / (ops.sqrt(_blurred(ops.square(x))) + 0.1)


def _blurred(x: KerasTensor) -> KerasTensor:
    """Means of small squares, stretched back: a blur for a fraction of the price of a wide filter."""
    size = x.shape[1]
    coarse = ops.average_pool(x, _NEIGHBOURHOOD, _NEIGHBOURHOOD, padding="same")
    return ops.image.resize(coarse, (size, size), interpolation="bilinear")


def _convolution(x: KerasTensor, channels: int, kernel: int, stride: int = 1, activate: bool = True) -> KerasTensor:
    x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    x = layers.BatchNormalization()(x)
    return ops.relu(x) if activate else x


def _residual(x: KerasTensor, channels: int, stride: int) -> KerasTensor:
    y = _convolution(x, channels, kernel=3, stride=stride)
    y = _convolution(y, channels, kernel=3, activate=False)
    if stride > 1:
        x = layers.AveragePooling2D(stride, padding="same")(x)
    if x.shape[-1] != channels:
        x = _convolution(x, channels, kernel=1, activate=False)
    return ops.relu(x + y)
