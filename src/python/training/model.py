"""The network: a small residual network for the CPU, with its normalisation inside, and a kernel machine beside it."""

from dataclasses import dataclass

import keras
import tensorflow as tf
from keras import KerasTensor, layers, ops

from training import kernel_machine
from training.backbone import features

# The last layer that learns step by step; what comes after it is fitted at once.
HEAD = "head"
_NEIGHBOURHOOD = 8  # pixels


@dataclass(frozen=True)
class Network:
    """What a network is built from."""

    image_size: int = 128  # pixels, height and width of the input
    width: int = 32  # channels of the first stage; each further stage doubles them
    stages: int = 4
    blocks: int = 1  # residual blocks a stage
    backbone: str = ""  # a network of keras.applications in place of the stages
    landmarks: int = 1024  # images and mirror images that the kernel machine compares with; 0: there is none


def build(parameters: Network, classes: int) -> keras.Model:
    """Pixels float32 [N, H, W, 1] in 0..255 -> logits float32 [N, classes].

    The head takes the features, on which the training step does the dropout: drawn here, it would depend on how many
    replicas share a batch.
    """
    pixels = keras.Input((parameters.image_size, parameters.image_size, 1), name="pixels")
    whole = _standardised(pixels)
    found = features(pixels, parameters.backbone, _shared()) if parameters.backbone else _trunk(whole, parameters)
    logits = layers.Dense(classes, name=HEAD)(found)
    if parameters.landmarks:
        logits = kernel_machine.joined(logits, whole, parameters.landmarks)
    return keras.Model(pixels, logits)


def _trunk(whole: KerasTensor, parameters: Network) -> KerasTensor:
    """Features float32 [N, F] of images as `_standardised` gives them."""
    x = ops.concatenate([whole, _evened(whole)], axis=-1)
    # The first convolution strides by 4: fine detail costs most of the time on a CPU and decides little.
    x = _convolution(x, parameters.width, kernel=7, stride=4)
    for stage in range(parameters.stages):
        for block in range(parameters.blocks):
            x = _residual(x, parameters.width * 2**stage, stride=2 if stage > 0 and block == 0 else 1)
    return layers.GlobalAveragePooling2D()(x)


def _standardised(pixels: KerasTensor) -> KerasTensor:
    """Each image with mean 0 and deviation 1: exposure differs between machines and says nothing about lungs."""
    mean = ops.mean(pixels, axis=(1, 2, 3), keepdims=True)
    deviation = ops.std(pixels, axis=(1, 2, 3), keepdims=True)
    # Plus one gray level, so that an empty image stays finite.
    return (pixels - mean) / (deviation + 1.0)


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
    # No moving averages (momentum 0): they would follow the augmented images of training, and lean to one class on
    # plain ones. The loop takes the statistics of plain images instead.
    x = layers.BatchNormalization(momentum=0.0, synchronized=_shared())(x)
    return ops.relu(x) if activate else x


def _shared() -> bool:
    """Whether several replicas share a batch, and so must normalise by the statistics of all of it."""
    return tf.distribute.get_strategy().num_replicas_in_sync > 1


def _residual(x: KerasTensor, channels: int, stride: int) -> KerasTensor:
    y = _convolution(x, channels, kernel=3, stride=stride)
    y = _convolution(y, channels, kernel=3, activate=False)
    if stride > 1:
        x = layers.AveragePooling2D(stride, padding="same")(x)
    if x.shape[-1] != channels:
        x = _convolution(x, channels, kernel=1, activate=False)
    return ops.relu(x + y)
