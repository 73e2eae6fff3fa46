"""A family of networks: the module that builds them, whether it is one of ours or a model's own network.py.

What such a module holds, `training.networks` tells.
"""

import importlib.util
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.abc import InspectLoader
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import keras

from imaging import ImageInput
from training import networks, normalisation
from training.networks import own
from training.networks.own import BadNetwork
from training.step import Schedule
from training.values import Value, filled

OWN = "own"
_T = TypeVar("_T")


class NoWeights(RuntimeError):
    """Weights to begin with can't be had. `may_pass`: another try may have them."""

    def __init__(self, sentence: str, may_pass: bool = False) -> None:
        super().__init__(sentence)
        self.may_pass = may_pass


@dataclass(frozen=True)
class Pretrained:
    """Weights from elsewhere that a network begins with."""

    digest: str
    put_into: Callable[[keras.Model], None]


@dataclass(frozen=True)
class Family:
    """`file` is the network.py of a model's own network; None for one of ours."""

    name: str
    module: ModuleType
    file: Path | None = None

    @classmethod
    def named(cls, name: str) -> "Family":
        """
        Raises:
            ValueError: there is no family of this name.
        """
        if name not in known():
            raise ValueError(f"There is no family '{name}' of networks; name one of {', '.join(known())}.")
        return cls(name, importlib.import_module(f"{networks.__name__}.{name}"))

    @classmethod
    def own(cls, file: Path) -> "Family":
        """
        Raises:
            BadNetwork: the file can't be loaded, or has no function `build`.
        """
        return cls(OWN, own.load(file), file)

    def complete(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """All parameters: `values`, and the defaults of the others.

        Raises:
            ValueError: a parameter that the family does not know, or a value that it does not take.
        """
        kind = getattr(self.module, "Parameters", None)
        return {} if kind is None and not values else asdict(self._parameters(values))

    def build(self, values: Mapping[str, Value], image: ImageInput, classes: int) -> keras.Model:
        """Pixels float32 [N, *image.shape] in 0..255 -> logits float32 [N, classes], with random weights.

        Raises:
            BadNetwork: the model's own network can't be built, or is no network from such pixels.
        """
        if self.file is None:
            network = self.module.build(self._parameters(values), image, classes)
        else:
            network = self._built(self.file, values, image, classes)
        normalisation.prepare(network)
        return network

    def schedule(self, values: Mapping[str, Value]) -> Schedule:
        """`values`, and in the place of the others the family's or else the usual ones.

        Raises:
            ValueError: there is no such value, or it can't be that.
        """
        return filled(Schedule, {**getattr(self.module, "SCHEDULE", {}), **values})

    def trials(
        self, values: Mapping[str, Value], image: ImageInput, schedule: Schedule
    ) -> list[tuple[dict[str, Value], ImageInput, Schedule]]:
        """The networks to try in turn, the model's own choice first.

        Raises:
            BadNetwork: the model's own network suggests none, or something else.
        """
        suggest = getattr(self.module, "trials", None)
        if suggest is None:
            return [(self.complete(values), image, schedule)]
        found = self._called(suggest, self._parameters(values), image, schedule)
        kinds = getattr(self.module, "Parameters", type(None)), ImageInput, Schedule
        if not found or any(tuple(map(type, trial)) != kinds for trial in found):
            raise BadNetwork(f"trials of {self.file} must give [(parameters, image, schedule), …], at least one.")
        return [({} if chosen is None else asdict(chosen), size, one) for chosen, size, one in found]

    def space(self, values: Mapping[str, Value], image: ImageInput) -> dict[str, list[Value]]:
        """What a search may choose: values of parameters by name, and of the input's side as "size".

        Raises:
            BadNetwork: the model's own network suggests something else.
        """
        suggest = getattr(self.module, "space", None)
        if suggest is None:
            return {}
        found = dict(self._called(suggest, self._parameters(values), image))
        wrong = [name for name, choices in found.items() if name not in ("size", *self.complete(values)) or not choices]
        if wrong:
            raise BadNetwork(f"space of {self.file} gives no choice of a parameter by '{wrong[0]}'.")
        return found

    def pretrained(self, values: Mapping[str, Value], image: ImageInput) -> Pretrained | None:
        """
        Raises:
            NoWeights: they can't be had.
        """
        load = getattr(self.module, "pretrained", None)
        return None if load is None else self._called(load, self._parameters(values), image)

    def begins_at_random(self, values: Mapping[str, Value]) -> bool:
        """Whether a network with these parameters needs nothing from elsewhere to be trained again."""
        return not hasattr(self.module, "pretrained") or values.get("weights") == "none"

    def _parameters(self, values: Mapping[str, Value]) -> Any:
        kind = getattr(self.module, "Parameters", None)
        if kind is None:
            if values:
                raise ValueError(f"The network knows no parameter '{next(iter(values))}': it has no Parameters.")
            return None
        return filled(kind, values)

    def _called(self, function: Callable[..., _T], *arguments: Any) -> _T:
        try:
            return function(*arguments)
        except Exception as error:
            if self.file is None:
                raise
            raise BadNetwork(f"{function.__name__} of {self.file} raised {own.described(error, self.file)}.") from None

    def _built(self, file: Path, values: Mapping[str, Value], image: ImageInput, classes: int) -> keras.Model:
        network = self._called(self.module.build, self._parameters(values), image, classes)
        if not isinstance(network, keras.Model):
            raise BadNetwork(
                f"build of {file} returned {type(network).__name__}, expected a keras.Model, such as keras.Sequential."
            )
        try:
            return _functional(network, image)
        except Exception as error:
            raise BadNetwork(
                f"The network of {file} can't take pixels float32 [N, {', '.join(map(str, image.shape))}], which is "
                f"what [input] of model.toml asks for: {own.described(error, file)}."
            ) from None


def known() -> list[str]:
    """The families there are: modules that define `build`. The other ones of their folder are parts of these."""
    found = []
    for module in pkgutil.iter_modules(networks.__path__):
        spec = importlib.util.find_spec(f"{networks.__name__}.{module.name}")
        # Read and not imported: some take seconds to load.
        source = spec.loader.get_source(spec.name) if spec and isinstance(spec.loader, InspectLoader) else None
        if source and "\ndef build(" in source:
            found.append(module.name)
    return sorted(found)


def _functional(network: keras.Model, image: ImageInput) -> keras.Model:
    """`network` as one with a single input of pixels, which is what training and export go by."""
    inputs = getattr(network, "inputs", None) or []
    if len(inputs) == 1 and inputs[0].dtype == "float32" and inputs[0].shape[1:] == image.shape:
        return keras.Model(inputs[0], network.outputs) if isinstance(network, keras.Sequential) else network
    pixels = keras.Input(image.shape, name="pixels")
    if not isinstance(network, keras.Sequential):
        return keras.Model(pixels, network(pixels))
    # Layer by layer, so that they are those of the whole: one without an Input has none to ask for.
    x = pixels
    for layer in network.layers:
        x = layer(x)
    return keras.Model(pixels, x)
