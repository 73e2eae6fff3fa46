"""One training step under a tf.distribute strategy.

Random numbers are drawn for the batch as a whole, and each replica takes those of its own images: what is learnt does
not depend on how many replicas share a batch. Layers that draw by themselves (Dropout, RandomFlip, …) draw for each
replica: with them, just the same number of replicas comes to the same weights again.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from contracts.changes import Changes
from training.augmentation import augment
from training.head import Head, head_of
from training.outliers import outliers
from training.team import Team


@dataclass(frozen=True)
class Schedule:
    """How a network is trained.

    Raises:
        ValueError: a value is out of its range.
    """

    epochs: int = 60
    batch: int = 32  # images a step, over all replicas
    learning_rate: float = 2e-3  # at its peak; a cosine leads down to zero
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    dropout: float = 0.3  # share of the features before a Head
    augmentation: float = 0.6  # share of what [changes] allows; 0 only mirrors
    outliers: float = 0.125  # pictures that show nothing of any class, for every image of a batch
    averaging: float = 0.8  # share of the earlier epochs in the running average of the weights
    patience: int = 40  # epochs without a better validation loss or accuracy before the run stops

    def __post_init__(self) -> None:
        limits = {
            **{
                "epochs": (0, 100_000),
                "batch": (1, 100_000),
                "learning_rate": (0, math.inf),
                "patience": (1, math.inf),
            },
            **{"weight_decay": (0, 10), "label_smoothing": (0, 0.99), "dropout": (0, 0.99)},
            **{"augmentation": (0, 1), "outliers": (0, 4), "averaging": (0, 0.999)},
        }
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"Expected {name} between {least} and {most}. Received: {getattr(self, name)}")


def without_effect(network: keras.Model, changes: Changes) -> list[str]:
    """The values of a Schedule that change nothing about the training of `network`."""
    unused = [] if head_of(network) else ["dropout"]
    if changes == Changes(mirror=changes.mirror, turn=0, shift=0, zoom=0, brightness=0):
        unused.append("augmentation")
    return unused


def training_step(
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    schedule: Schedule,
    size: int,
    class_weights: np.ndarray,
    team: Team,
    changes: Changes,
) -> Callable[..., tf.Tensor]:
    """A function that takes one batch of `size` images and a seed, int32 [2], learns, and returns the mean loss."""
    classes, shape = len(class_weights), network.input_shape[1:]
    share = size // team.replicas
    # As many for every replica, and so perhaps some too many, which then weigh less.
    total = round(schedule.outliers * size)
    strange = math.ceil(total / team.replicas)
    weight = total / max(1, strange * team.replicas)
    head = head_of(network)
    logits = _plain(network) if head is None else _with_dropout(network, head, schedule.dropout)

    def replica(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        here = tf.distribute.get_replica_context().replica_id_in_sync_group

        def own(whole: tf.Tensor, rows: int) -> tf.Tensor:
            """This replica's rows of what was drawn for all."""
            return whole[here * rows :][:rows]

        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
        inputs = augment(pixels, seeds[0], schedule.augmentation, changes, size, here * share)
        targets = tf.one_hot(labels, classes) * (1 - schedule.label_smoothing) + schedule.label_smoothing / classes
        targets *= class_weights
        parts = [(seeds[1], size, share)]
        if strange:
            every = strange * team.replicas
            inputs = tf.concat([inputs, own(outliers(every, shape, seeds[2]), strange)], 0)
            targets = tf.concat([targets, tf.fill([strange, classes], weight / classes)], 0)
            parts.append((seeds[3], every, strange))

        def mask(columns: int, rate: float) -> tf.Tensor:
            """What dropout multiplies features [N, columns] with."""
            return tf.concat([own(_mask(one, rows, columns, rate), mine) for one, rows, mine in parts], 0)

        with tf.GradientTape() as tape:
            log_probabilities = tf.nn.log_softmax(logits(inputs, mask))
            # A sum over this replica's share of the batch: the optimizer adds the replicas' gradients up.
            loss = -tf.reduce_sum(targets * log_probabilities) / size
            # Regularizers that layers of the network bring along.
            if network.losses:
                loss += tf.add_n(network.losses) / team.replicas
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    @tf.function
    def step(batch: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
        losses = team.strategy.run(replica, args=(*batch, seed))
        return team.strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    return step


# From pixels float32 [N, H, W, C], and a function that draws a dropout mask [N, F] for F features and a rate, to logits
# float32 [N, classes].
_Logits = Callable[[tf.Tensor, Callable[[int, float], tf.Tensor]], tf.Tensor]


def _plain(network: keras.Model) -> _Logits:
    return lambda inputs, mask: network(inputs, training=True)


def _with_dropout(network: keras.Model, head: Head, rate: float) -> _Logits:
    features = keras.Model(network.input, head.input)
    columns = features.output_shape[-1]
    return lambda inputs, mask: head(features(inputs, training=True) * mask(columns, rate))


def _mask(seed: tf.Tensor, rows: int, columns: int, rate: float) -> tf.Tensor:
    """float32 [rows, columns]: 0, or as much more as others are dropped."""
    drawn = tf.random.stateless_uniform([rows, columns], seed)
    return tf.where(drawn < rate, 0.0, 1 / (1 - rate))
