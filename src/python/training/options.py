"""The flags that train and retrain share, joined with trainyard.toml. Imports nothing heavy: --help must be quick."""

import os
import sys
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from cli import UsageError

if TYPE_CHECKING:
    from dataset import Limits, Split
    from training.team import Team

Dataset = Annotated[str | None, typer.Option(help="Folder with one folder of images per class, or `sample`.")]
RegistryUri = Annotated[
    str | None, typer.Option("--registry", help="What keeps the models: a folder, or gs://BUCKET/FOLDER.")
]
SigningKey = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="PEM file of the key that signs the model, or pkcs11:… for one that a KMS keeps; by default one beside a "
        "local registry, made on first use.",
    ),
]
ModelName = Annotated[str | None, typer.Option(help="Name of the model in the registry.")]
Seed = Annotated[
    int, typer.Option(min=0, max=2**31 - 1, help="Same seed, data and machine: same model, if time does not run out.")
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over the images, at most.")]
MaxMinutes = Annotated[float, typer.Option(min=0.05, help="Time limit for the training itself.")]
MaxTrials = Annotated[
    int | None,
    typer.Option(min=1, help="Networks to try while validation misses the gate; 1, or 12 with --tune."),
]
MinAccuracy = Annotated[float | None, typer.Option(min=0, max=1, help="Gate: accuracy on the test images.")]
MinRecall = Annotated[float | None, typer.Option(min=0, max=1, help="Gate: recall of every class.")]
Tune = Annotated[bool, typer.Option("--tune", help="Search from the start, not just while validation misses the gate.")]
Work = Annotated[
    str | None,
    typer.Option(help="Folder for logs, and for models that are not published yet; by default beside the models."),
]
Backbone = Annotated[
    str | None, typer.Option(help="Network of keras.applications to put the classifier on, such as MobileNetV3Small.")
]
BackboneWeights = Annotated[
    str,
    typer.Option("--weights", help="What a backbone begins with: imagenet (downloaded), a .h5 FILE of such, or none."),
]
Verify = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="VERSION", help="Train this version again from its record, and compare; saves nothing."
    ),
]
Reason = Annotated[str, typer.Option(help="Why this run happens; kept in the record.")]
MailOwner = Annotated[
    bool, typer.Option("--mail", help="Mail the owner if the model misses the gate; `pipeline run` does so by itself.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the record as one line of JSON, last.")]


@dataclass(frozen=True)
class Options:
    dataset: str
    registry: str
    model: str
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


def resolve(
    dataset: str | None,
    registry: str | None,
    model_name: str | None,
    min_accuracy: float | None,
    min_recall: float | None,
    signing_key: str | None = None,
    max_trials: int | None = None,
    tune: bool = False,
    **others: int | float | str | None,
) -> Options:
    """Flags before TRAINYARD_* variables before trainyard.toml."""
    import settings
    from dataset import Limits, Split

    loaded = settings.load()
    gates = loaded.gates
    return Options(
        dataset=dataset or loaded.dataset.uri,
        registry=registry or loaded.registry.uri,
        model=model_name or loaded.model.name,
        checks=Limits.of(loaded.dataset),
        split=Split(loaded.dataset.test_share, loaded.dataset.validation_share),
        min_accuracy=gates.min_accuracy if min_accuracy is None else min_accuracy,
        min_recall=gates.min_recall if min_recall is None else min_recall,
        tolerance=gates.tolerance,
        signing_key=signing_key or loaded.signing.key,
        public_keys=loaded.signing.public_keys,
        max_trials=max_trials or (TUNED_TRIALS if tune else 1),
        tune=tune,
        arguments=sys.argv[1:],
        **others,  # type: ignore[arg-type]
    )


def prepare_tensorflow() -> None:
    """Imports TensorFlow without its notes about its own build and about missing graphics cards.

    Some are written before any of its settings is read, so the stream itself is set aside; it is shown if the import
    fails.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # A user's Keras configuration may name another backend.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            import tensorflow

            tensorflow.config.list_physical_devices()
            # Every network asked is traced once, which TensorFlow takes for tracing one too often.
            tensorflow.get_logger().setLevel("ERROR")
            # The same seed gives the same weights, whatever order threads end in.
            tensorflow.config.experimental.enable_op_determinism()
        except BaseException:
            aside.seek(0)
            os.write(stderr, aside.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def team() -> "Team":
    """Who trains together, by TF_CONFIG and the processors of this machine.

    Raises:
        UsageError: TF_CONFIG is there, but names no cluster with this process in it.
    """
    from training.team import Team

    try:
        return Team.of_environment()
    except ValueError as error:
        raise UsageError(f"TF_CONFIG can't be used ({error}); give it cluster.worker and task, or remove it.") from None
