"""The flags that train and retrain share, joined with the settings. Imports nothing heavy: --help must be quick."""

import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dataset import Limits, Split
    from models import Model
    from training.parameters import Parameters

Dataset = Annotated[
    str | None,
    typer.Option(help="The images: a folder per class, a pointer, or `sample` (drawn). Default: [dataset] uri."),
]
RegistryUri = Annotated[
    str | None, typer.Option("--registry", help="The registry of models: a folder, or gs://BUCKET/FOLDER.")
]
SigningKey = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="The key that signs the model: a PEM file, or pkcs11:… for one in a KMS. Default: one beside a local "
        "registry, made on first use.",
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        "--model-name",
        metavar="NAME",
        help="The model, a folder of models/. Default: [model] name in trainyard.toml, or the only one.",
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        min=0,
        max=2**31 - 1,
        help="Start of all random numbers. Same seed, data and machine: same model, if time does not run out.",
    ),
]
Epochs = Annotated[
    int | None, typer.Option(min=1, help="Passes over the images, at most. Default: [schedule] of the model.")
]
MaxMinutes = Annotated[float, typer.Option(min=0.05, help="Time limit for the training itself, in minutes.")]
MaxTrials = Annotated[
    int | None,
    typer.Option(min=1, help="Networks to try while validation misses the gate. Default: 1, or 12 with --tune."),
]
MinAccuracy = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="The gate: the accuracy on held-out images below which no model is saved. Default: [gates]."
    ),
]
MinRecall = Annotated[
    float | None, typer.Option(min=0, max=1, help="The gate: the recall that every class must reach. Default: [gates].")
]
Tune = Annotated[bool, typer.Option("--tune", help="Search from the start, not just while validation misses the gate.")]
Work = Annotated[
    str | None,
    typer.Option(help="Folder for logs and checkpoints of a training under way. Default: beside the models."),
]
Backbone = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A network of keras.applications, such as MobileNetV3Small, in place of the model's own.",
    ),
]
BackboneWeights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help="The weights that --backbone begins with: imagenet (downloaded; the default), a .h5 FILE, or none.",
    ),
]
Reproduce = Annotated[
    int | None,
    typer.Option(
        "--reproduce",
        "--verify",
        min=1,
        metavar="VERSION",
        help="Train this version again from its record, and compare every weight; saves nothing.",
    ),
]
Reason = Annotated[str, typer.Option(help="Why this training happens, for the version's record.")]
MailOwner = Annotated[
    bool, typer.Option("--mail", help="Mail the owner if the model misses the gate; `pipeline run` does so by itself.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the record as one line of JSON, last.")]


@dataclass(frozen=True)
class Options:
    dataset: str
    registry: str
    model: "Model"
    # What the dataset is held against, and how it is split.
    checks: "Limits"
    split: "Split"
    min_accuracy: float
    min_recall: float
    tolerance: float
    signing_key: str
    public_keys: list[str]
    seed: int = 0
    max_minutes: float = 10.0
    max_trials: int = 1
    tune: bool = False
    work: str | None = None
    reason: str = ""
    arguments: list[str] = field(default_factory=list)


TUNED_TRIALS = 12


@dataclass(frozen=True)
class Flags:
    """The flags that train and retrain share."""

    dataset: Dataset = None
    registry: RegistryUri = None
    model: ModelName = None
    seed: Seed = 0
    epochs: Epochs = None
    max_minutes: MaxMinutes = 10.0
    max_trials: MaxTrials = None
    tune: Tune = False
    work: Work = None
    min_accuracy: MinAccuracy = None
    min_recall: MinRecall = None
    signing_key: SigningKey = None
    reason: Reason = ""
    reproduce: Reproduce = None
    mail: MailOwner = False
    as_json: AsJson = False

    def in_epochs(self, trials: "list[Parameters]") -> "list[Parameters]":
        """`trials`, each of as many epochs as was asked for, if anything was."""
        if self.epochs is None:
            return trials
        return [replace(trial, schedule=replace(trial.schedule, epochs=self.epochs)) for trial in trials]


def resolve(flags: Flags) -> Options:
    """Precedence: flag, TRAINYARD_* variable, the model's files, trainyard.toml, default.

    Raises:
        UsageError: there is no such model, or a file of settings can't be understood.
    """
    import models
    from dataset import Limits, Split

    found = models.find(flags.model)
    settings = found.settings
    gates = settings.gates
    return Options(
        dataset=flags.dataset or settings.dataset.uri,
        registry=flags.registry or settings.registry.uri,
        model=found,
        checks=Limits.of(settings.dataset),
        split=Split.of(settings.dataset),
        min_accuracy=gates.min_accuracy if flags.min_accuracy is None else flags.min_accuracy,
        min_recall=gates.min_recall if flags.min_recall is None else flags.min_recall,
        tolerance=gates.tolerance,
        signing_key=flags.signing_key or settings.signing.key,
        public_keys=settings.signing.public_keys,
        seed=flags.seed,
        max_minutes=flags.max_minutes,
        max_trials=flags.max_trials or (TUNED_TRIALS if flags.tune else 1),
        tune=flags.tune,
        work=flags.work,
        reason=flags.reason,
        arguments=sys.argv[1:],
    )
