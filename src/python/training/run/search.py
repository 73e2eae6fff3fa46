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
from training.family import Family
from training.loop import Diverged, Epoch, Predictor, fit
from training.parameters import Parameters
from training.run.answers import answers_of
from training.run.board import Board
from training.run.checkpoints import Checkpoints
from training.run.suggestions import Suggestions
from training.run.weights import put_weights
from training.state import State, Weights
from training.step import without_effect
from training.team import Team

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


class Search:
    """Tries networks in the processes of a `team`, of which the chief decides what is tried and keeps what came of it.

    The test images take no part, so that what they say in the end is true.
    """

    def __init__(
        self,
        family: Family,
        data: Dataset,
        team: Team,
        seed: int,
        stop: Callable[[], bool] = lambda: False,
        watch: Callable[[int, Epoch, float], None] = lambda trial, epoch, seconds_left: None,
    ) -> None:
        """`watch` gets each epoch of each trial, and how many seconds that trial will still take."""
        self.family, self.data, self.team, self.seed = family, data, team, seed
        self.stop, self.watch = stop, watch

    def lead(
        self,
        first: Sequence[Parameters],
        budget: Budget,
        good_enough: Callable[[Metrics], bool],
        checkpoints: Checkpoints,
        start: Weights | None = None,
    ) -> Trained:
        """The best trial on the validation images: of `first`, then of what a tuner suggests.

        `start` are the weights to begin with. What `checkpoints` hold already is not done again.

        Raises:
            Diverged: no trial came to a result.
            Stopped: the search was asked to stop; the checkpoints resume it.
        """
        trials = checkpoints.trials()
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
                trial, weights = self._try(number, parameters, start, share, trials, checkpoints)
                spent += trial.seconds
                trials.append(trial)
                checkpoints.finish(trials, weights if _best(trials) is trial else None)
        self._send(None)
        chosen = _best(trials)
        if chosen is None or chosen.validation is None:
            raise Diverged(_failure(trials))
        trials = [trial.model_copy(update={"chosen": trial is chosen}) for trial in trials]
        parameters = Parameters.from_dict(chosen.parameters)
        network = self._built(parameters)
        put_weights(network, checkpoints.best(chosen.number))
        return Trained(parameters, network, chosen.validation, trials)

    def assist(self) -> None:
        """Trains along, in a process that is not the chief, until the search is over.

        Raises:
            ValueError: this process has other images than the chief.
        """
        while order := json.loads(self.team.share(b"")):
            if order["fingerprint"] != self.data.fingerprint:
                raise ValueError("this process has other images than the chief; give all the same dataset")
            try:
                self._fit(order["number"], Parameters.from_dict(order["parameters"]), None, math.inf)
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
        space = {} if given else self.family.space(first[0].network, first[0].input)
        unused = without_effect(self._built(first[0]), first[0].changes)
        suggestions = Suggestions(first[0], space, unused, self.seed, folder)
        number = len(first)
        while (parameters := suggestions.next()) is not None:
            if len(trials) <= number:
                yield parameters
            suggestions.report(_score(trials[number])[0])
            number += 1

    def _send(self, order: dict[str, object] | None) -> None:
        self.team.share(json.dumps(order).encode())

    def _built(self, parameters: Parameters) -> keras.Model:
        return self.family.build(parameters.network, parameters.input, len(self.data.labels))

    def _try(
        self,
        number: int,
        parameters: Parameters,
        start: Weights | None,
        seconds: float,
        others: Sequence[Trial],
        checkpoints: Checkpoints,
    ) -> tuple[Trial, Weights | None]:
        self._send({"number": number, "parameters": parameters.as_dict(), "fingerprint": self.data.fingerprint})
        began = time.monotonic()
        values = parameters.as_dict()
        try:
            network, state = self._fit(number, parameters, start, seconds, (), others, checkpoints)
        except Diverged as error:
            spent = round(time.monotonic() - began, 3)
            return Trial(number=number, parameters=values, ended=f"diverged: {error}", seconds=spent), None
        plain = network if self.team.alone else self._alone(parameters, network.get_weights())
        trial = Trial(
            number=number,
            parameters=values,
            ended=state.ended,
            seconds=round(state.seconds, 3),
            validation=answers_of(Predictor(plain), parameters.input, self.data, "validation").metrics(),
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
        network = self._built(parameters)
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
        checkpoints: Checkpoints | None = None,
    ) -> tuple[keras.Model, State]:
        keras.utils.set_random_seed(self.seed)
        with self.team.strategy.scope():
            network = self._built(parameters)
        if start is not None:
            put_weights(network, start)
        history: list[Epoch] = []
        with Board(checkpoints.logs / f"trial-{number}" if checkpoints else None) as board:

            def watch(epoch: Epoch) -> None:
                history.append(epoch)
                board.show(epoch)
                self.watch(number, epoch, _seconds_left(history, seconds))

            state = fit(
                network,
                self.data.arrays("train", parameters.input),
                self.data.arrays("validation", parameters.input),
                parameters.schedule,
                seed=self.seed,
                changes=parameters.changes,
                team=self.team,
                seconds=seconds,
                state=checkpoints.state(number) if checkpoints else None,
                planned=planned,
                save=lambda state, urgent: checkpoints.save(number, state, urgent) if checkpoints else None,
                stop=self.stop,
                hopeless=lambda history: hopeless(history, others),
                watch=watch,
            )
        return network, state


def _seconds_left(history: Sequence[Epoch], limit: float) -> float:
    """How long a trial with a `history` of epochs in this process still takes, at most until its limit of seconds."""
    first, last = history[0], history[-1]
    # The first epoch also builds the graph; while it is the only one, nothing better is known.
    each = (last.seconds - first.seconds) / (len(history) - 1) if len(history) > 1 else last.seconds / last.number
    return max(0.0, min(each * (last.epochs - last.number), limit - last.seconds))


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
