"""The network that a model's folder asks for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from training.family import OWN, Family
from training.networks.own import BadNetwork
from training.parameters import Parameters, first_trials
from training.values import Value

if TYPE_CHECKING:
    from models import Model


def family_of_model(model: "Model") -> Family:
    """
    Raises:
        ValueError: there is no such family, or the model's network.py can't be loaded.
    """
    return Family.named(model.family) if model.network_file is None else Family.own(model.network_file)


def trials_of_model(model: "Model", family: Family, chosen: Mapping[str, Value] | None = None) -> list[Parameters]:
    """What a training from scratch tries in turn, on a network of `family`.

    `chosen` takes the place of parameters in model.toml, which do not count for another family than the model's.

    Raises:
        ValueError: model.toml names an unknown parameter, or a value that can't be.
    """
    own = model.network if family.name == (model.family or OWN) else {}
    try:
        return first_trials(family, {**own, **(chosen or {})}, model.input, model.changes, model.schedule)
    except BadNetwork:
        raise
    except ValueError as error:
        raise ValueError(str(error) if chosen else f"{model.folder / 'model.toml'}: {error}") from None


def of_model(model: "Model") -> tuple[Family, Parameters]:
    """The family and the first choice of parameters.

    Raises:
        ValueError: as above.
    """
    family = family_of_model(model)
    return family, trials_of_model(model, family)[0]
