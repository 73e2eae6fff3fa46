"""The choices of a training run, and which of them are tried in turn."""

from dataclasses import asdict, dataclass, field
from typing import Any

from training.model import Network
from training.step import Schedule


@dataclass(frozen=True)
class Parameters:
    """Everything about a training run that may be chosen; kept in the record, so a model can be built again from it."""

    network: Network = field(default_factory=Network)
    schedule: Schedule = field(default_factory=Schedule)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Parameters":
        """
        Raises:
            ValueError: `values` are not what this version of the code writes.
        """
        try:
            network, schedule = dict(values["network"]), dict(values["schedule"])
            # Records of earlier versions count dropout to the network.
            if "dropout" in network:
                schedule["dropout"] = network.pop("dropout")
            # And know of no kernel machine.
            network.setdefault("landmarks", 0)
            return cls(Network(**network), Schedule(**schedule))
        except (KeyError, TypeError) as error:
            raise ValueError(f"Expected the parameters of a network and a schedule; {error}") from error


# A trial follows when the one before misses the gate on the validation images, and the budget allows for it.
TRIALS = (
    Parameters(),
    # Sees more detail, at about one and a half times the price.
    Parameters(Network(image_size=160)),
    # Deeper, for datasets that are larger than the network.
    Parameters(Network(image_size=160, blocks=2), Schedule(learning_rate=1.5e-3)),
)
# A retraining keeps its parent's network and starts near its goal: large steps would forget what the parent knows. The
# second, bolder one is for data that changed much.
RETRAININGS = (
    Schedule(epochs=30, learning_rate=6e-4),
    Schedule(epochs=45, learning_rate=2e-3),
)
