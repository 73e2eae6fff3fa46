"""The choices of a training run, and which of them are tried in turn."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from contracts.changes import Changes
from imaging import ImageInput
from training.family import Family
from training.step import Schedule
from training.values import Value

# A retraining keeps its parent's network and starts near its goal: large steps would forget what the parent knows. The
# second, bolder one is for data that changed much. Epochs and learning rate, as shares of those of a training.
_RETRAININGS = ((0.5, 0.3), (0.75, 1.0))
_DIGITS = 12  # of a learning rate


@dataclass(frozen=True)
class Parameters:
    """Everything about a training run that may be chosen; kept in the record, so a model can be built again from it."""

    family: str
    network: Mapping[str, Value]  # all parameters of the family
    input: ImageInput
    changes: Changes  # of an image that keep its class
    schedule: Schedule

    def as_dict(self) -> dict[str, Any]:
        return {
            "family": self.family,
            "network": dict(self.network),
            "input": asdict(self.input),
            "changes": asdict(self.changes),
            "schedule": asdict(self.schedule),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Parameters":
        """
        Raises:
            ValueError: `values` are not what this or an earlier version of the code writes.
        """
        try:
            values = values if "family" in values else _of_one_family(values)
            return cls(
                family=str(values["family"]),
                network=dict(values["network"]),
                input=ImageInput(**values["input"]),
                changes=Changes(**values["changes"]),
                schedule=Schedule(**values["schedule"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"Expected the parameters of a network and a schedule; {error}") from error


def first_trials(
    family: Family,
    network: Mapping[str, Value],
    image: ImageInput,
    changes: Changes,
    schedule: Mapping[str, Value],
) -> list[Parameters]:
    """What a training from scratch tries in turn: a trial follows when the one before misses the gate on the validation
    images, and the budget allows for it. `network` and `schedule` take the place of defaults.

    Raises:
        ValueError: one of them is unknown, or has a value that can't be.
    """
    found = family.trials(network, image, family.schedule(schedule))
    return [Parameters(family.name, family.complete(chosen), image, changes, one) for chosen, image, one in found]


def retrainings(
    family: Family, parent: Parameters, changes: Changes, schedule: Mapping[str, Value]
) -> list[Parameters]:
    """What a retraining of `parent`, a network of `family`, tries in turn.

    Raises:
        ValueError: a value of `schedule` is unknown, or can't be.
    """
    base = family.schedule(schedule)
    schedules = [
        replace(base, epochs=max(1, round(base.epochs * epochs)), learning_rate=_rounded(base.learning_rate * rate))
        for epochs, rate in _RETRAININGS
    ]
    return [replace(parent, changes=changes, schedule=one) for one in schedules]


def _rounded(rate: float) -> float:
    return float(f"{rate:.{_DIGITS}g}")


def _of_one_family(values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in a record of before there were families, inputs and changes to choose from."""
    network, schedule = dict(values["network"]), dict(values["schedule"])
    # Earlier still, dropout counted to the network, and there was no kernel machine.
    if "dropout" in network:
        schedule["dropout"] = network.pop("dropout")
    network.setdefault("landmarks", 0)
    image, backbone = {"size": network.pop("image_size")}, network.pop("backbone", "")
    family = "residual"
    if backbone:
        family, network = "applications", {"backbone": backbone, "weights": "", "landmarks": network["landmarks"]}
    return {"family": family, "network": network, "input": image, "changes": {}, "schedule": schedule}
