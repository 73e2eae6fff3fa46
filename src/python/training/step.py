"""One training step under a tf.distribute strategy.

Random numbers are drawn for the batch as a whole, and each replica takes those of its own images: what is learnt does
not depend on how many replicas share a batch.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from training.augmentation import augment
from training.model import HEAD
from training.outliers import outliers
from training.team import Team


@dataclass(frozen=True)
class Schedule:
    """How a network is trained."""

    epochs: int = 60
    batch: int = 32  # images a step, over all replicas
    learning_rate: float = 2e-3  # at its peak; a cosine leads down to zero
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    dropout: float = 0.3  # share of the features before the head
    augmentation: float = 0.6  # strength; 0 only mirrors
    outliers: float = 0.125  # pictures that are no X-rays, for every image of a batch
    averaging: float = 0.8  # share of the earlier epochs in the running average of the weights
    patience: int = 40  # epochs without a better validation loss or accuracy before the run stops


def training_step(
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    schedule: Schedule,
    size: int,
    class_weights: np.ndarray,
    team: Team,
) -> Callable[..., tf.Tensor]:
    """A function that takes one batch of `size` images and a seed, int32 [2], learns, and returns the mean loss."""
    classes, side = len(class_weights), network.input_shape[1]
    share = size // team.replicas
    # As many for every replica, and so perhaps some too many, which then weigh less.
    total = round(schedule.outliers * size)
    strange = math.ceil(total / team.replicas)
    weight = total / max(1, strange * team.replicas)
    head = network.get_layer(HEAD)
    features = keras.Model(network.input, head.input)

    def replica(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        here = tf.distribute.get_replica_context().replica_id_in_sync_group

        def own(whole: tf.Tensor, rows: int) -> tf.Tensor:
            """This replica's rows of what was drawn for all."""
            return whole[here * rows :][:rows]

        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
        inputs = augment(pixels, seeds[0], schedule.augmentation, size, here * share)
        targets = tf.one_hot(labels, classes) * (1 - schedule.label_smoothing) + schedule.label_smoothing / classes
        targets *= class_weights
        kept = own(_kept(seeds[1], size, features.output_shape[-1], schedule.dropout), share)
        if strange:
            every = strange * team.replicas
            inputs = tf.concat([inputs, own(outliers(every, side, seeds[2]), strange)], 0)
            targets = tf.concat([targets, tf.fill([strange, classes], weight / classes)], 0)
            dropped = _kept(seeds[3], every, features.output_shape[-1], schedule.dropout)
            kept = tf.concat([kept, own(dropped, strange)], 0)
        with tf.GradientTape() as tape:
            log_probabilities = tf.nn.log_softmax(head(features(inputs, training=True) * kept))
            # A sum over this replica's share of the batch: the optimizer adds the replicas' gradients up.
            loss = -tf.reduce_sum(targets * log_probabilities) / size
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    @tf.function
    def step(batch: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
        losses = team.strategy.run(replica, args=(*batch, seed))
        return team.strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    return step


def _kept(seed: tf.Tensor, rows: int, columns: int, rate: float) -> tf.Tensor:
    """What dropout multiplies features with, float32 [rows, columns]: 0, or as much more as others are dropped."""
    drawn = tf.random.stateless_uniform([rows, columns], seed)
    return tf.where(drawn < rate, 0.0, 1 / (1 - rate))
