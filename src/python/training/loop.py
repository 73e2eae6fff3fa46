"""The training loop: one for one machine and for many, that can be left and taken up again between any two steps."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from contracts.changes import Changes
from training.at_once import Material, fit_layers
from training.feed import Feed, Labelled
from training.normalisation import statistics_from
from training.outliers import outliers
from training.pace import learning_rate, plan, progress
from training.seeds import untouched
from training.state import Epoch, State, Weights
from training.step import Schedule, training_step
from training.team import Team

_PREDICTED_AT_ONCE = 64  # images
_STRANGE = 64  # pictures that show nothing of any class, to see how unsure of them it is
# A run ends when the validation images got no wrong answer for so many epochs, at no more than this loss.
_FAULTLESS_EPOCHS = 3
_FAULTLESS_LOSS = 0.1
# Ends of a run that went as far as it was meant to. The learning rate has come down by then, and a few dozen noisy
# labels choose no better than that (docs/decisions/0014).
_COMPLETE = ("epochs", "time", "faultless")


class _Epoch(Protocol):
    @property
    def validation_loss(self) -> float: ...


class Diverged(ArithmeticError):
    """The loss is not a number any more."""


class Stopped(Exception):
    """The run was asked to stop, and its state is saved."""


class Predictor:
    """Probabilities by a network, in batches. Traced once, so it is cheap to ask after every epoch."""

    def __init__(self, network: keras.Model) -> None:
        shape = [None, *network.input_shape[1:]]

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8)])
        def ask(pixels: tf.Tensor) -> tf.Tensor:
            with untouched(network):
                return tf.nn.softmax(network(tf.cast(pixels, tf.float32), training=False))

        self._ask = ask

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, C] -> probabilities float32 [N, classes]."""
        starts = range(0, len(pixels), _PREDICTED_AT_ONCE)
        return np.concatenate([self._ask(pixels[start : start + _PREDICTED_AT_ONCE]).numpy() for start in starts])


def fit(
    network: keras.Model,
    train: Labelled,
    validation: Labelled,
    schedule: Schedule,
    *,
    seed: int,
    changes: Changes = Changes(),  # noqa: B008
    team: Team | None = None,
    seconds: float = math.inf,
    state: State | None = None,
    planned: Sequence[int] = (),
    save: Callable[[State, bool], None] = lambda state, urgent: None,
    stop: Callable[[], bool] = lambda: False,
    hopeless: Callable[[Sequence[Epoch]], bool] = lambda history: False,
    watch: Callable[[Epoch], None] = lambda epoch: None,
) -> State:
    """Trains `network` (from pixels to logits), leaves it with the weights of the best epoch, and returns how it went.

    An epoch's weights are a running average of those after each epoch, steadier than any single ones, with the
    normalisation's statistics taken from plain training images. The rarer a class, the more its images weigh.
    `changes` say how an image may be changed and stays in its class. Validation measures what training asks for: right
    answers, and none that is sure about pictures that show nothing of any class.

    Layers that are fitted at once are fitted first, anew even where the network continues from a parent's weights.

    The run ends after `schedule.epochs`, when `seconds` are over, when validation stops getting better or `hopeless`
    says so, or when it has been faultless for a while. The best epoch of a run that was not given up is the last, else
    the one with the lowest validation loss. No epochs leave the network as it is. A network made under the strategy of
    a `team` needs that.

    `save` gets the state after every epoch, and urgently (True) when the run is asked to stop. A run that starts from
    such a `state` comes to the same weights as one that was never left; so does one that follows the `planned` lengths
    of an earlier run, whatever the clock says.

    Raises:
        Diverged: the loss became infinite or not a number.
        Stopped: `stop` said so; the state of that moment was saved.
    """
    run = _Run(network, train, validation, schedule, seed, changes, team or Team(), seconds, planned, hopeless)
    state = run.begin(state, stop)
    while not state.ended:
        state = run.epoch(state, stop, save)
        watch(state.history[-1])
        if run.team.chief:
            save(state, False)
    network.set_weights(state.best)
    return state


class _Run:
    """What stays the same from the first to the last step of a run."""

    def __init__(
        self,
        network: keras.Model,
        train: Labelled,
        validation: Labelled,
        schedule: Schedule,
        seed: int,
        changes: Changes,
        team: Team,
        seconds: float,
        planned: Sequence[int],
        hopeless: Callable[[Sequence[Epoch]], bool],
    ) -> None:
        self.network, self.train, self.validation, self.schedule = network, train, validation, schedule
        self.seed, self.changes, self.team, self.hopeless = seed, changes, team, hopeless
        self.limit, self.given = seconds, planned
        self.weights = class_weights(train[1], network.output_shape[-1])
        self.feed = Feed(train, schedule.batch, seed, team)
        with team.strategy.scope():
            # No decay on biases and normalisation: they do not fit noise.
            self.optimizer = keras.optimizers.AdamW(schedule.learning_rate, weight_decay=schedule.weight_decay)
            self.optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
            self.optimizer.build(network.trainable_variables)
        self.step = training_step(network, self.optimizer, schedule, self.feed.size, self.weights, team, changes)
        self.take_statistics = statistics_from(network, train[0], seed, team.strategy)
        self.predict = Predictor(network)
        drawn = outliers(_STRANGE, network.input_shape[1:], tf.constant([seed, -1], tf.int32))
        self.strange = tf.cast(tf.round(drawn), tf.uint8).numpy()

    def begin(self, state: State | None, stop: Callable[[], bool]) -> State:
        """The chief's state, in every process; the clock and the batches go on from there."""
        began = time.monotonic()

        def go_on() -> None:
            if stop():
                raise Stopped("before the first epoch")

        if state is None:
            if self.team.chief and self.schedule.epochs:
                fit_layers(self.network, Material(*self.train, self.weights, self.changes, self.seed), go_on)
            state = State.first(self.network, self.optimizer)
        if not self.team.alone:
            state = State.from_bytes(self.team.share(state.to_bytes() if self.team.chief else b""))
        if not state.planned:
            first = self.given[0] if self.given else self.schedule.epochs
            state = replace(state, planned=[first], ended="" if first else "epochs")
        state.restore(self.network, self.optimizer)
        self.started = began - state.seconds
        self.batches = self.feed.batches(state.step, self.schedule.epochs * self.feed.steps)
        return state

    def epoch(self, state: State, stop: Callable[[], bool], save: Callable[[State, bool], None]) -> State:
        """The state after the epoch that `state` is in."""
        steps = self.feed.steps
        losses: list[tf.Tensor | float] = [*state.losses]
        for number in range(state.step, (state.step // steps + 1) * steps):
            if stop():
                self._stop(state, number, losses, save)
            rate = learning_rate(
                self.schedule.learning_rate, progress(state.planned, number % steps / steps), number / steps
            )
            self.optimizer.learning_rate.assign(rate)
            losses.append(self.step(next(self.batches), tf.constant([self.seed, number], tf.int32)))
        loss = float(np.mean([float(value) for value in losses]))
        if not math.isfinite(loss):
            raise Diverged(f"the loss became {loss} in epoch {len(state.history) + 1}")
        state = replace(state, step=(state.step // steps + 1) * steps, losses=[])
        state = state.with_weights_of(self.network, self.optimizer)
        return self._validated(state, loss)

    def _stop(
        self, state: State, number: int, losses: list[tf.Tensor | float], save: Callable[[State, bool], None]
    ) -> None:
        state = state.with_weights_of(self.network, self.optimizer)
        if self.team.chief:
            done = [float(value) for value in losses]
            save(replace(state, step=number, losses=done, seconds=time.monotonic() - self.started), True)
        raise Stopped(f"after epoch {len(state.history)}")

    def _validated(self, state: State, loss: float) -> State:
        """Looks at the average of the weights, decides how the run goes on, and puts the trained weights back."""
        average = _blend(self.network, state, self.schedule.averaging)
        self.network.set_weights(average)
        self.take_statistics()
        shared = self.team.share(json.dumps(self._decision(state, loss)).encode() if self.team.chief else b"")
        decision = json.loads(shared)
        epoch = Epoch(**decision["epoch"])
        history = [*state.history, epoch]
        is_best = best_epoch(history, decision["ended"]) == epoch.number
        best = self.network.get_weights() if is_best else state.best
        self.network.set_weights(state.own)
        return replace(
            state,
            average=average,
            best=best,
            history=history,
            # A run that is over was as long as it is, so that one which follows it ends there too.
            planned=[*state.planned, epoch.number if decision["ended"] else epoch.epochs],
            seconds=epoch.seconds,
            ended=decision["ended"],
        )

    def _decision(self, state: State, loss: float) -> dict[str, object]:
        pixels, labels = self.validation
        probabilities = self.predict(pixels)
        accuracy = float(np.mean(probabilities.argmax(axis=1) == labels))
        seconds, done = time.monotonic() - self.started, len(state.history) + 1
        validation_loss = _loss(probabilities, labels, self.weights)
        if self.schedule.outliers:
            validation_loss += self.schedule.outliers * _sureness(self.predict(self.strange))
        epoch = Epoch(done, 0, loss, validation_loss, accuracy, seconds)
        history = [*state.history, epoch]
        if self.given:
            epochs = self.given[done] if done < len(self.given) else done
        else:
            epochs = plan(self.schedule.epochs, self.limit, history, seconds)
        history[-1] = replace(epoch, epochs=epochs)
        return {"epoch": asdict(history[-1]), "ended": self._ended(history)}

    def _ended(self, history: list[Epoch]) -> str:
        last = history[-1]
        if last.number >= last.epochs:
            return "epochs" if last.epochs == self.schedule.epochs else "time"
        # The loss alone would give up too soon: it may rise with noisy labels while more and more answers are right.
        best = min(history, key=lambda epoch: epoch.validation_loss)
        most = max(history, key=lambda epoch: epoch.validation_accuracy)
        if last.number - max(best.number, most.number) >= self.schedule.patience:
            return "patience"
        # Sure and without a mistake for some epochs: there is nothing left to learn from.
        recent = history[-_FAULTLESS_EPOCHS:]
        sure = (epoch.validation_accuracy == 1 and epoch.validation_loss < _FAULTLESS_LOSS for epoch in recent)
        if len(recent) == _FAULTLESS_EPOCHS and all(sure):
            return "faultless"
        return "hopeless" if self.hopeless(history) else ""


def best_epoch(history: Sequence[_Epoch], ended: str) -> int:
    """Number of the epoch whose weights a run leaves that ended so ("": not yet)."""
    lowest = min(range(len(history)), key=lambda i: history[i].validation_loss)
    return len(history) if ended in _COMPLETE else lowest + 1


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """float32 [C]: each class weighs as much in all as any other; 1 on average over the images."""
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype(np.float32)


def _blend(network: keras.Model, state: State, share: float) -> Weights:
    """The running average of the weights that learn; of others, which may be counts or directions, the latest."""
    if not state.average:
        return state.own
    # A young average forgets faster, or the first epochs' weights would spoil it for long.
    epoch = len(state.history)
    older = min(share, (1 + epoch) / (10 + epoch))
    learns = {id(variable) for variable in network.trainable_variables}
    return [
        # What is the same in both stays so to the last bit.
        new + older * (old - new) if id(variable) in learns else new
        for variable, old, new in zip(network.weights, state.average, state.own, strict=True)
    ]


def _loss(probabilities: np.ndarray, labels: np.ndarray, class_weights: np.ndarray) -> float:
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(np.average(-np.log(chosen + 1e-7), weights=class_weights[labels]))


def _sureness(probabilities: np.ndarray) -> float:
    """Cross entropy with even answers, in nats beyond theirs; 0 where every class is as likely as any other."""
    classes = probabilities.shape[1]
    return float(-np.log(probabilities + 1e-7).mean() - math.log(classes))
