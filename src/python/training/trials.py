"""Trains one network, or several in turn until one is good enough on the validation images."""

import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from contracts.record import EpochMetrics, Metrics, Trial
from dataset import Dataset
from evaluation import measure
from training.board import Board
from training.kept import Kept
from training.loop import Diverged, Epoch, Predictor, fit
from training.model import build
from training.parameters import Parameters
from training.space import Suggestions
from training.state import State, Weights
from training.team import Team
from training.weights import put_weights

_SECONDS_WORTH_A_TRIAL = 10
# A trial is hopeless when, past so many epochs and such a part of its run, its best validation loss is so much worse
# than the median of what the finished trials had reached by then (the median rule of Google's Vizier, with a margin).
_HOPELESS_AFTER_EPOCHS = 5
_HOPELESS_AFTER_PART = 0.25
_HOPELESS_MARGIN = 1.1


@dataclass(frozen=True)
class Budget:
    """How far a search may go."""

    trials: int = 1
    seconds: float = math.inf
    tune: bool = False  # not just until a trial is good enough


@dataclass(frozen=True)
class Trained:
    """A network with its weights, how good it is on the validation images, and what was tried on the way."""

    parameters: Parameters
    network: keras.Model
    validation: Metrics
    trials: list[Trial]


def quality(network: keras.Model, data: Dataset, split: str) -> Metrics:
    """Metrics of `network` on one split of `data`."""
    pixels, truth = data.arrays(split, network.input_shape[1])
    names = np.array(data.labels)
    likeliest = Predictor(network)(pixels).argmax(axis=1)
    return measure(names[truth].tolist(), names[likeliest].tolist(), data.labels)


class Search:
    """Tries networks in the processes of a `team`, of which the chief decides what is tried and keeps what came of it.

    The test images take no part, so that what they say in the end is true.
    """

    def __init__(
        self,
        data: Dataset,
        team: Team,
        seed: int,
        stop: Callable[[], bool] = lambda: False,
        watch: Callable[[int, Epoch], None] = lambda trial, epoch: None,
    ) -> None:
        self.data, self.team, self.seed = data, team, seed
        self.stop, self.watch = stop, watch

    def lead(
        self,
        first: Sequence[Parameters],
        budget: Budget,
        good_enough: Callable[[Metrics], bool],
        kept: Kept,
        start: Weights | None = None,
    ) -> Trained:
        """The best trial on the validation images: of `first`, then of what a tuner suggests.

        `start` are the weights to begin with. What `kept` holds already is not done again.

        Raises:
            Diverged: no trial came to a result.
            Stopped: the search was asked to stop; it goes on from what is kept.
        """
        trials = kept.trials()
        spent = sum(trial.seconds for trial in trials)
        with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
            coming = self._coming(first, trials, start is not None, Path(folder))
            for number in range(len(trials) + 1, budget.trials + 1):
                best = _best(trials)
                if best is not None and best.validation and not budget.tune and good_enough(best.validation):
                    break
                left = budget.seconds - spent
                if trials and left < _SECONDS_WORTH_A_TRIAL:
                    break
                parameters = next(coming, None)
                if parameters is None:
                    break
                share = max(left, 1.0) / (budget.trials - number + 1)
                trial, weights = self._try(number, parameters, start, share, trials, kept)
                spent += trial.seconds
                trials.append(trial)
                kept.finish(trials, weights if _best(trials) is trial else None)
        self._tell(None)
        chosen = _best(trials)
        if chosen is None or chosen.validation is None:
            raise Diverged(_failure(trials))
        trials = [trial.model_copy(update={"chosen": trial is chosen}) for trial in trials]
        parameters = Parameters.from_dict(chosen.parameters)
        network = build(parameters.network, len(self.data.labels))
        put_weights(network, kept.best(chosen.number))
        return Trained(parameters, network, chosen.validation, trials)

    def assist(self) -> None:
        """Trains along, in a process that is not the chief, until the search is over.

        Raises:
            ValueError: this process has other images than the chief.
        """
        while told := json.loads(self.team.share(b"")):
            if told["fingerprint"] != self.data.fingerprint:
                raise ValueError("this process has other images than the chief; give all the same dataset")
            try:
                self._fit(told["number"], Parameters.from_dict(told["parameters"]), None, math.inf)
            except Diverged:
                continue

    def repeat(self, parameters: Parameters, planned: Sequence[int], start: Weights | None) -> Weights:
        """The weights that a trial comes to which is as long as `planned`."""
        network, _ = self._fit(1, parameters, start, math.inf, planned)
        return network.get_weights()

    def _coming(
        self, first: Sequence[Parameters], trials: Sequence[Trial], given: bool, folder: Path
    ) -> Iterator[Parameters]:
        """What is tried after `trials`, as long as the results are appended there."""
        yield from first[len(trials) :]
        suggestions = Suggestions(first[0], given, self.seed, folder)
        number = len(first)
        while (parameters := suggestions.next()) is not None:
            if len(trials) <= number:
                yield parameters
            suggestions.tell(_score(trials[number])[0])
            number += 1

    def _tell(self, told: dict[str, object] | None) -> None:
        self.team.share(json.dumps(told).encode())

    def _try(
        self,
        number: int,
        parameters: Parameters,
        start: Weights | None,
        seconds: float,
        others: Sequence[Trial],
        kept: Kept,
    ) -> tuple[Trial, Weights | None]:
        self._tell({"number": number, "parameters": parameters.as_dict(), "fingerprint": self.data.fingerprint})
        began = time.monotonic()
        values = parameters.as_dict()
        try:
            network, state = self._fit(number, parameters, start, seconds, (), others, kept)
        except Diverged as error:
            spent = round(time.monotonic() - began, 3)
            return Trial(number=number, parameters=values, ended=f"diverged: {error}", seconds=spent), None
        plain = network if self.team.alone else self._alone(parameters, network.get_weights())
        trial = Trial(
            number=number,
            parameters=values,
            ended=state.ended,
            seconds=round(state.seconds, 3),
            validation=quality(plain, self.data, "validation"),
            history=[
                EpochMetrics(
                    loss=epoch.loss,
                    validation_loss=epoch.validation_loss,
                    validation_accuracy=epoch.validation_accuracy,
                )
                for epoch in state.history
            ],
            planned=state.planned,
        )
        return trial, network.get_weights()

    def _alone(self, parameters: Parameters, weights: Weights) -> keras.Model:
        """The network as a process of its own asks it, outside the team's strategy."""
        network = build(parameters.network, len(self.data.labels))
        network.set_weights(weights)
        return network

    def _fit(
        self,
        number: int,
        parameters: Parameters,
        start: Weights | None,
        seconds: float,
        planned: Sequence[int] = (),
        others: Sequence[Trial] = (),
        kept: Kept | None = None,
    ) -> tuple[keras.Model, State]:
        keras.utils.set_random_seed(self.seed)
        with self.team.strategy.scope():
            network = build(parameters.network, len(self.data.labels))
        if start is not None:
            put_weights(network, start)
        size = parameters.network.image_size
        with Board(kept.logs / f"trial-{number}" if kept else None) as board:

            def watch(epoch: Epoch) -> None:
                board.show(epoch)
                self.watch(number, epoch)

            state = fit(
                network,
                self.data.arrays("train", size),
                self.data.arrays("validation", size),
                parameters.schedule,
                seed=self.seed,
                team=self.team,
                seconds=seconds,
                state=kept.state(number) if kept else None,
                planned=planned,
                save=lambda state, urgent: kept.save(number, state, urgent) if kept else None,
                stop=self.stop,
                hopeless=lambda history: hopeless(history, others),
                watch=watch,
            )
        return network, state


def hopeless(history: Sequence[Epoch], others: Sequence[Trial]) -> bool:
    """Whether a trial with this history so far is not worth going on with, after how `others` went."""
    done = len(history)
    finished = [trial for trial in others if trial.history]
    if not finished or done < max(_HOPELESS_AFTER_EPOCHS, _HOPELESS_AFTER_PART * history[-1].epochs):
        return False
    reached = [min(epoch.validation_loss for epoch in trial.history[:done]) for trial in finished]
    return min(epoch.validation_loss for epoch in history) > _HOPELESS_MARGIN * statistics.median(reached)


def _score(trial: Trial) -> tuple[float, float]:
    """What trials are compared by: the mean recall of the classes, then accuracy."""
    if trial.validation is None:
        return 0.0, 0.0
    recalls = [own.recall for own in trial.validation.per_class.values()]
    return float(np.mean(recalls)), trial.validation.accuracy


def _best(trials: Sequence[Trial]) -> Trial | None:
    """The first of the best that came to a result."""
    return max((trial for trial in trials if trial.validation), key=_score, default=None)


def _failure(trials: Sequence[Trial]) -> str:
    return trials[0].ended.removeprefix("diverged: ") if trials else "there was no time for a single epoch"
