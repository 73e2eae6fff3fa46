"""What a search tries once the trials picked by hand are used up; docs/training.md shows it as a table.

KerasTuner suggests: first at random, then where a Gaussian process over the results so far expects the best. It is only
given scores, so a resumed search gives it the finished ones again, and continues as if it had not been interrupted.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.parameters import Parameters
from training.values import Value

_TUNER = "trainyard"
_MOST_TRIALS = 10_000
_RANDOM_FIRST = 4
# Names of the network's own choices may be those of the schedule too.
_NETWORK, _SIZE = "network.", "size"


class Suggestions:
    """Parameters to try, each after the score of the one before.

    `space` holds the choices of the network, by parameter or "size" of its input; none: the network is `base`'s. Of the
    schedule, `unused` values are left out.
    """

    def __init__(
        self,
        base: Parameters,
        space: Mapping[str, Sequence[Value]],
        unused: Collection[str],
        seed: int,
        folder: Path,
    ) -> None:
        # Imported here: it takes seconds, and most runs never come to search.
        import keras_tuner

        self._base, self._network = base, [name for name in space if name != _SIZE]
        choices, rate = keras_tuner.HyperParameters(), base.schedule.learning_rate
        for name, values in space.items():
            choices.Choice(_NETWORK + name, list(values))
        choices.Float("learning_rate", rate / 4, rate * 2.5, sampling="log")
        if "augmentation" not in unused:
            choices.Float("augmentation", 0.2, 1.0, step=0.2)
        if "dropout" not in unused:
            choices.Float("dropout", 0.1, 0.5, step=0.1)
        choices.Choice("label_smoothing", [0.0, 0.05, 0.1])
        self._oracle = keras_tuner.oracles.BayesianOptimizationOracle(
            objective=keras_tuner.Objective("score", "max"),
            max_trials=_MOST_TRIALS,
            num_initial_points=_RANDOM_FIRST,
            hyperparameters=choices,
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
        values = dict(self._trial.hyperparameters.values)
        network = {name: values.pop(_NETWORK + name) for name in self._network}
        image = replace(self._base.input, size=values.pop(_NETWORK + _SIZE, self._base.input.size))
        return replace(
            self._base,
            network={**self._base.network, **network},
            input=image,
            schedule=replace(self._base.schedule, **values),
        )

    def report(self, score: float) -> None:
        """What came of it, 0 to 1; the higher, the better."""
        self._oracle.update_trial(self._trial.trial_id, {"score": score})
        self._trial.status = "COMPLETED"
        self._oracle.end_trial(self._trial)
