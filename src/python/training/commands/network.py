"""What a training from scratch builds, and begins with."""

from cli import DataRefused, InfrastructureError, UsageError
from dataset import locate
from dataset.folder import find
from models import Model
from training.commands.options import Options
from training.family import Family, NoWeights, Pretrained
from training.networks.check import check, notes_on, refusal
from training.networks.own import BadNetwork
from training.parameters import Parameters
from training.run.network import family_of_model, trials_of_model
from training.run.version import Run


def choose(model: Model, backbone: str | None, weights: str | None) -> tuple[Family, list[Parameters]]:
    """What is tried in turn: what the model's files ask for or, with the name of a `backbone`, one trial on that.

    Raises:
        UsageError: the files ask for something that there is not, or the network can't be loaded.
    """
    try:
        family = Family.named("applications") if backbone else family_of_model(model)
        chosen: dict[str, str] = {"backbone": backbone} if backbone else {}
        if weights is not None:
            if family.name != "applications":
                raise ValueError("--weights belongs to a network of keras.applications; name one with --backbone.")
            chosen["weights"] = weights
        return family, trials_of_model(model, family, chosen)
    except ValueError as error:
        raise UsageError(str(error)) from None


def pretrained(family: Family, parameters: Parameters) -> Pretrained | None:
    """Weights from elsewhere that the network begins with, if it does.

    Raises:
        UsageError: their file is not there, or the network's own function is wrong.
        DataRefused: the file holds no weights of this network.
        InfrastructureError: they can't be downloaded.
    """
    try:
        return family.pretrained(parameters.network, parameters.input)
    except FileNotFoundError as error:
        raise UsageError(str(error)) from None
    except BadNetwork as error:
        raise UsageError(str(error)) from None
    except NoWeights as error:
        raise (InfrastructureError if error.may_pass else DataRefused)(str(error)) from None


def require_complete(options: Options, current: Run) -> None:
    """Looks at the network of a model's own before the images are checked, which may take longer.

    Raises:
        UsageError: the network lacks something.
        DataRefused: the dataset has no classes.
    """
    current.say("Checking the network")
    labels = list(find(locate(options.dataset), options.split.groups, options.checks.classes))
    lacking = check(options.model, labels)
    for sentence in lacking[1:]:
        current.say(sentence)
    if lacking:
        raise refusal(lacking[0])
    for note in notes_on(options.model, labels):
        current.say(note)
