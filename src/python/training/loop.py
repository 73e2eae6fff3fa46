"""The training loop: one step under a tf.distribute strategy, on one machine or on many."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from training.augmentation import augment
from training.outliers import outliers

Labelled = tuple[np.ndarray, np.ndarray]  # pixels uint8 [N, H, W, 1], label indices int32 [N]
Weights = list[np.ndarray]

_PREDICTED_AT_ONCE = 64  # images
_WARMUP_EPOCHS = 2
_SETTLED_ON = 256  # images
# A run ends when the validation images got no wrong answer for so many epochs, at no more than this loss.
_FAULTLESS_EPOCHS = 3
_FAULTLESS_LOSS = 0.35


@dataclass(frozen=True)
class Schedule:
    """How a network is trained."""

    epochs: int = 60
    batch: int = 32  # images a step, over all replicas
    learning_rate: float = 2e-3  # at its peak; a cosine leads down to zero
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    augmentation: float = 0.6  # strength; 0 only mirrors
    outliers: float = 0.125  # pictures that are no X-rays, for every image of a batch
    averaging: float = 0.8  # share of the earlier epochs in the running average of the weights
    patience: int = 25  # epochs without a better validation loss before the run stops


@dataclass(frozen=True)
class Epoch:
    number: int  # from 1
    epochs: int
    loss: float
    validation_loss: float
    validation_accuracy: float
    seconds: float  # since the start of the run


class Diverged(ArithmeticError):
    """The loss is not a number any more."""


class Predictor:
    """Probabilities by a network, in batches. Traced once, so it is cheap to ask after every epoch."""

    def __init__(self, network: keras.Model) -> None:
        shape = [None, *network.input_shape[1:]]

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8)])
        def ask(pixels: tf.Tensor) -> tf.Tensor:
            return tf.nn.softmax(network(tf.cast(pixels, tf.float32), training=False))

        self._ask = ask

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, 1] -> probabilities float32 [N, C]."""
        starts = range(0, len(pixels), _PREDICTED_AT_ONCE)
        return np.concatenate([self._ask(pixels[start : start + _PREDICTED_AT_ONCE]).numpy() for start in starts])


def fit(
    network: keras.Model,
    train: Labelled,
    validation: Labelled,
    schedule: Schedule,
    *,
    seed: int,
    strategy: tf.distribute.Strategy | None = None,
    seconds: float = math.inf,
    watch: Callable[[Epoch], None] = lambda epoch: None,
) -> list[Epoch]:
    """Trains `network` (logits) and leaves it with the weights that were best on `validation`.

    What is judged, and kept, is a running average of the weights after each epoch, steadier than any single one, with
    the normalisation's statistics taken from plain training images. The rarer a class, the more its images weigh.

    The run ends after `schedule.epochs`, after `seconds`, when validation stops getting better, or when it has been
    faultless for a while; a run short of time goes through its learning rates faster. A network made under `strategy`
    needs it passed. No epochs leave the network as it is.

    Raises:
        Diverged: the loss became infinite or not a number.
    """
    strategy = strategy or tf.distribute.get_strategy()
    weights = _class_weights(train[1], network.output_shape[-1])
    with strategy.scope():
        # No decay on biases and normalisation: they do not fit noise.
        optimizer = keras.optimizers.AdamW(schedule.learning_rate, weight_decay=schedule.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        optimizer.build(network.trainable_variables)
    step = _step(network, optimizer, schedule, weights, strategy)
    batches, steps = _batches(train, schedule.batch, seed, strategy)
    settle = _settle(network, train[0], seed, strategy)
    predict = Predictor(network)
    average: Weights | None = None
    best: tuple[float, Weights] = (math.inf, network.get_weights())
    history: list[Epoch] = []
    started = time.monotonic()

    for epoch in range(schedule.epochs):
        losses = []
        for number, batch in enumerate(batches, start=epoch * steps):
            progress = max(number / (steps * schedule.epochs), (time.monotonic() - started) / seconds)
            optimizer.learning_rate.assign(_learning_rate(schedule, progress, number / steps))
            losses.append(step(batch, tf.constant([seed, number], tf.int32)))
        loss = float(np.mean([value.numpy() for value in losses]))
        if not math.isfinite(loss):
            raise Diverged(f"the loss became {loss} in epoch {epoch + 1}")
        own = network.get_weights()
        average = own if average is None else _blend(average, own, schedule.averaging, epoch)
        network.set_weights(average)
        settle()
        probabilities = predict(validation[0])
        validation_loss = _loss(probabilities, validation[1], weights)
        if validation_loss < best[0]:
            best = (validation_loss, network.get_weights())
        accuracy = float(np.mean(probabilities.argmax(axis=1) == validation[1]))
        network.set_weights(own)
        elapsed = time.monotonic() - started
        history.append(Epoch(epoch + 1, schedule.epochs, loss, validation_loss, accuracy, elapsed))
        watch(history[-1])
        if elapsed >= seconds or _may_stop(history, schedule.patience):
            break
    network.set_weights(best[1])
    return history


def _step(
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    schedule: Schedule,
    class_weights: np.ndarray,
    strategy: tf.distribute.Strategy,
) -> Callable[..., tf.Tensor]:
    classes, side = len(class_weights), network.input_shape[1]
    strange = round(schedule.outliers * schedule.batch / strategy.num_replicas_in_sync)

    def replica(pixels: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        seed = tf.random.experimental.stateless_fold_in(seed, context.replica_id_in_sync_group)
        inputs = augment(pixels, seed, schedule.augmentation)
        targets = tf.one_hot(labels, classes) * (1 - schedule.label_smoothing) + schedule.label_smoothing / classes
        targets *= class_weights
        if strange:
            inputs = tf.concat([inputs, outliers(strange, side, tf.random.experimental.stateless_fold_in(seed, 0))], 0)
            targets = tf.concat([targets, tf.fill([strange, classes], 1 / classes)], 0)
        with tf.GradientTape() as tape:
            log_probabilities = tf.nn.log_softmax(network(inputs, training=True))
            # A sum over this replica's share of the batch: the optimizer adds the replicas' gradients up.
            loss = -tf.reduce_sum(targets * log_probabilities) / schedule.batch
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    @tf.function
    def step(batch: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
        return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(replica, args=(*batch, seed)), axis=None)

    return step


def _settle(
    network: keras.Model, pixels: np.ndarray, seed: int, strategy: tf.distribute.Strategy
) -> Callable[[], None]:
    """Sets the statistics of the network's normalisation to those of one large batch of plain training images."""
    chosen = np.random.default_rng(seed).permutation(len(pixels))[:_SETTLED_ON]
    plain = tf.constant(pixels[chosen])

    @tf.function
    def settle() -> None:
        strategy.run(lambda images: network(tf.cast(images, tf.float32), training=True), args=(plain,))

    return settle


def _batches(train: Labelled, batch: int, seed: int, strategy: tf.distribute.Strategy) -> tuple[tf.data.Dataset, int]:
    """The shuffled batches of an epoch, and how many there are. A last short one is left out, unless it is the only."""
    images = len(train[1])
    data = tf.data.Dataset.from_tensor_slices(train)
    data = data.shuffle(images, seed=seed).batch(batch, drop_remainder=images >= batch).prefetch(2)
    return strategy.experimental_distribute_dataset(data), max(1, images // batch)


def _class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """float32 [C]: each class weighs as much in all as any other; 1 on average over the images."""
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype(np.float32)


def _learning_rate(schedule: Schedule, progress: float, epochs_done: float) -> float:
    """A linear start, then half a cosine; `progress` runs from 0 to 1 over the run."""
    warmup = min(1.0, (epochs_done + 0.05) / _WARMUP_EPOCHS)
    return schedule.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def _blend(average: Weights, own: Weights, share: float, epoch: int) -> Weights:
    # A young average forgets faster, or the first epochs' weights would spoil it for long.
    kept = min(share, (1 + epoch) / (10 + epoch))
    return [kept * old + (1 - kept) * new for old, new in zip(average, own, strict=True)]


def _loss(probabilities: np.ndarray, labels: np.ndarray, class_weights: np.ndarray) -> float:
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(np.average(-np.log(chosen + 1e-7), weights=class_weights[labels]))


def _may_stop(history: list[Epoch], patience: int) -> bool:
    best = min(history, key=lambda epoch: epoch.validation_loss)
    if history[-1].number - best.number >= patience:
        return True
    # Sure and without a mistake for some epochs: there is nothing left to learn from.
    last = history[-_FAULTLESS_EPOCHS:]
    return len(last) == _FAULTLESS_EPOCHS and all(
        epoch.validation_accuracy == 1 and epoch.validation_loss < _FAULTLESS_LOSS for epoch in last
    )
