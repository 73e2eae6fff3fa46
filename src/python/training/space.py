"""What a search tries once the trials picked by hand are used up; docs/training.md shows it as a table.

KerasTuner suggests: first at random, then where a Gaussian process over the results so far expects the best. It only
hears of scores, so a search that was cut off tells it the finished ones again and goes on as if it had not been.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from training.parameters import Parameters

_TUNER = "trainyard"
_MOST_TRIALS = 10_000
_RANDOM_FIRST = 4


class Suggestions:
    """Parameters to try, each after the score of the one before; of a network that is `given` only its schedule."""

    def __init__(self, base: Parameters, given: bool, seed: int, folder: Path) -> None:
        # Imported here: it takes seconds, and most runs never come to search.
        import keras_tuner

        self._base, self._given = base, given
        space, schedule = keras_tuner.HyperParameters(), base.schedule
        if not given:
            space.Choice("image_size", [96, 128, 160])
            space.Choice("width", [16, 24, 32, 48])
            space.Choice("stages", [3, 4])
            space.Choice("blocks", [1, 2])
        space.Float("learning_rate", schedule.learning_rate / 4, schedule.learning_rate * 2.5, sampling="log")
        space.Float("augmentation", 0.2, 1.0, step=0.2)
        space.Float("dropout", 0.1, 0.5, step=0.1)
        space.Choice("label_smoothing", [0.0, 0.05, 0.1])
        self._oracle = keras_tuner.oracles.BayesianOptimizationOracle(
            objective=keras_tuner.Objective("score", "max"),
            max_trials=_MOST_TRIALS,
            num_initial_points=_RANDOM_FIRST,
            hyperparameters=space,
            seed=seed + 1,  # 0 means: any
        )
        self._oracle.verbose = False
        # It insists on files of its own; nothing ever reads them.
        self._oracle._set_project_dir(str(folder), "search")
        self._trial: Any = None

    def next(self) -> Parameters | None:
        """What to try now; None when everything was tried."""
        self._trial = self._oracle.create_trial(_TUNER)
        if self._trial.status == "STOPPED":
            return None
        values = self._trial.hyperparameters.values
        network = {name: values[name] for name in ("image_size", "width", "stages", "blocks") if name in values}
        chosen = {name: value for name, value in values.items() if name not in network}
        return Parameters(replace(self._base.network, **network), replace(self._base.schedule, **chosen))

    def tell(self, score: float) -> None:
        """What came of it, 0 to 1; the higher, the better."""
        self._oracle.update_trial(self._trial.trial_id, {"score": score})
        self._trial.status = "COMPLETED"
        self._oracle.end_trial(self._trial)
