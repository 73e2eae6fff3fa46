"""A training run between two of its steps: everything that decides how it goes on, as bytes that hold no code."""

import io
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import keras
import numpy as np

Weights = list[np.ndarray]
_GROUPS = ("own", "random", "optimizer", "average", "best")
_NOTES = "notes"


@dataclass(frozen=True)
class Epoch:
    number: int  # from 1
    epochs: int  # of the whole run, as it looks after this one
    loss: float
    validation_loss: float
    validation_accuracy: float
    seconds: float  # since the start of the run


@dataclass(frozen=True)
class State:
    """`own` are the weights that are trained, `average` their running average, `best` those of the best epoch."""

    own: Weights
    random: Weights  # what layers that draw random numbers go by
    optimizer: Weights
    average: Weights
    best: Weights
    step: int = 0  # steps done
    losses: list[float] = field(default_factory=list)  # of the steps of an epoch under way
    history: list[Epoch] = field(default_factory=list)
    planned: list[int] = field(default_factory=list)  # the run's length in epochs, as seen at the start of each epoch
    seconds: float = 0.0
    ended: str = ""  # why the run is over; empty while it is not

    def to_bytes(self) -> bytes:
        groups = {group: getattr(self, group) for group in _GROUPS}
        notes = {
            "sizes": {group: len(arrays) for group, arrays in groups.items()},
            "step": self.step,
            "losses": self.losses,
            "history": [asdict(epoch) for epoch in self.history],
            "planned": self.planned,
            "seconds": self.seconds,
            "ended": self.ended,
        }
        arrays: dict[str, Any] = {
            f"{group}-{i}": array for group, found in groups.items() for i, array in enumerate(found)
        }
        buffer = io.BytesIO()
        arrays[_NOTES] = np.frombuffer(json.dumps(notes).encode(), np.uint8)
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "State":
        """
        Raises:
            ValueError: `data` are not those of a state.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                notes = json.loads(arrays[_NOTES].tobytes())
                sizes = notes.pop("sizes")
                groups: dict[str, Any] = {
                    group: [arrays[f"{group}-{i}"] for i in range(sizes[group])] for group in _GROUPS
                }
            notes["history"] = [Epoch(**epoch) for epoch in notes["history"]]
            return cls(**groups, **notes)
        except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"Expected the bytes of a training state; {error}") from error

    @classmethod
    def first(cls, network: keras.Model, optimizer: keras.optimizers.Optimizer) -> "State":
        """Before the first step of `network`."""
        return cls(average=[], best=network.get_weights(), **_captured(network, optimizer))

    def with_weights_of(self, network: keras.Model, optimizer: keras.optimizers.Optimizer) -> "State":
        return replace(self, **_captured(network, optimizer))

    def restore(self, network: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        """
        Raises:
            ValueError: the state is not of this network.
        """
        network.set_weights(self.own)
        for variables, arrays in ((_random(network), self.random), (optimizer.variables, self.optimizer)):
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)


def _captured(network: keras.Model, optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    return {
        "own": network.get_weights(),
        "random": [np.asarray(variable) for variable in _random(network)],
        "optimizer": [np.asarray(variable) for variable in optimizer.variables],
    }


def _random(network: keras.Model) -> list[keras.Variable]:
    weights = {id(variable) for variable in network.weights}
    return [variable for variable in network.variables if id(variable) not in weights]
