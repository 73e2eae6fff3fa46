"""A family of networks: the module that builds them, whether it is one of ours or a model's own network.py.

What such a module holds, `training.networks` tells.
"""

import importlib.util
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
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
# Of what parameters may be: as TOML and JSON hold them.
_PLAIN = (bool, int, float, str, tuple)
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
        own_values = getattr(self.module, "SCHEDULE", {})
        if not isinstance(own_values, Mapping):
            raise BadNetwork(f"SCHEDULE of {self.file} must be a dict of values by name. Received: {own_values!r}")
        try:
            filled(Schedule, own_values)
        except ValueError as error:
            raise BadNetwork(f"SCHEDULE of {self.file}: {error}") from None
        return filled(Schedule, {**own_values, **values})

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
        if not isinstance(found, list | tuple) or not found or any(_kinds(trial) != kinds for trial in found):
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
        found = self._called(suggest, self._parameters(values), image)
        if not isinstance(found, Mapping):
            raise BadNetwork(f"space of {self.file} must give a dict of lists by name. Received: {found!r}")
        known_values = {"size": image.size, **self.complete(values)}
        for name, choices in found.items():
            kind = type(known_values.get(name))
            if name not in known_values or not isinstance(choices, list | tuple) or not choices:
                raise BadNetwork(f"space of {self.file} gives no choice of a parameter by '{name}'.")
            if strange := [
                one for one in choices if type(one) is not kind and not (kind is float and type(one) is int)
            ]:
                raise BadNetwork(
                    f"space of {self.file} offers {strange[0]!r} for '{name}', expected values such as "
                    f"{known_values[name]!r}."
                )
        return {name: list(choices) for name, choices in found.items()}

    def pretrained(self, values: Mapping[str, Value], image: ImageInput) -> Pretrained | None:
        """
        Raises:
            NoWeights: they can't be had.
        """
        load = getattr(self.module, "pretrained", None)
        found = None if load is None else self._called(load, self._parameters(values), image)
        if not isinstance(found, Pretrained | None):
            raise BadNetwork(
                f"pretrained of {self.file} returned {type(found).__name__}, expected a training.family.Pretrained, or "
                "None."
            )
        return found

    def begins_at_random(self, values: Mapping[str, Value]) -> bool:
        """Whether a network with these parameters needs nothing from elsewhere to be trained again."""
        return not hasattr(self.module, "pretrained") or values.get("weights") == "none"

    def _parameters(self, values: Mapping[str, Value]) -> Any:
        kind = getattr(self.module, "Parameters", None)
        if kind is None:
            if values:
                raise ValueError(f"The network knows no parameter '{next(iter(values))}': it has no Parameters.")
            return None
        if self.file is None:
            return filled(kind, values)
        if strange := _without_plain_default(kind):
            raise BadNetwork(
                f"Parameters of {self.file} must be a dataclass whose values all have defaults that are plain: true or "
                f"false, a number or a text. {strange}"
            )
        try:
            return filled(kind, values)
        except ValueError:
            raise
        except Exception as error:  # whatever its own __post_init__ raises
            raise BadNetwork(f"Parameters of {self.file} raised {own.described(error, self.file)}.") from None

    def _called(self, function: Callable[..., _T], *arguments: Any) -> _T:
        try:
            with own.without_exit():
                return function(*arguments)
        except NoWeights:
            raise
        # sys.exit() would end the command, and as if all were well.
        except (Exception, SystemExit) as error:
            if self.file is None:
                raise
            name = getattr(function, "__name__", repr(function))
            raise BadNetwork(f"{name} of {self.file} raised {own.described(error, self.file)}.") from None

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


def _kinds(trial: object) -> tuple[type, ...]:
    return tuple(map(type, trial)) if isinstance(trial, tuple | list) else ()


def _without_plain_default(kind: object) -> str:
    """What is wrong with a class of parameters, of which records hold plain values; empty where nothing is."""
    if not isinstance(kind, type) or not is_dataclass(kind):
        return "It is no dataclass."
    for field in fields(kind):
        if field.default is MISSING or type(field.default) not in _PLAIN:
            shown = "has none" if field.default is MISSING else f"has {field.default!r}"
            return f"'{field.name}' {shown}."
    return ""


def _functional(network: keras.Model, image: ImageInput) -> keras.Model:
    """`network` as one with a single input of pixels, which is what training and export go by."""
    inputs = getattr(network, "inputs", None) or []
    if len(inputs) == 1 and inputs[0].dtype == "float32" and inputs[0].shape == (None, *image.shape):
        # A list or a dict of one is as good as that one.
        listed = any(
            keras.tree.is_nested(getattr(network, name, None)) for name in ("_inputs_struct", "_outputs_struct")
        )
        if isinstance(network, keras.Sequential) or (listed and len(network.outputs) == 1):
            return keras.Model(inputs[0], network.outputs)
        return network
    pixels = keras.Input(image.shape, name="pixels")
    if not isinstance(network, keras.Sequential):
        return keras.Model(pixels, network(pixels))
    # Layer by layer, so that they are those of the whole: one without an Input has none to ask for.
    x = pixels
    for layer in network.layers:
        x = layer(x)
    return keras.Model(pixels, x)
