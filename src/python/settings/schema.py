"""Every setting, its default and its unit."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, field_validator

from settings.addresses import mail_addresses

# A name becomes a folder, a bucket prefix and a URL path, so it is kept to what is safe in all three.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Fraction = Annotated[float, Field(ge=0, le=1)]

# Names of datasets that are no paths: Trainyard writes these itself.
BUILT_IN_DATASETS = ("sample", "digits")


# What stands for yes and no.
_SWITCH = TypeAdapter(bool)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(Section):
    # The model that commands mean which are told of none.
    name: Name = "chest-xray"


class Dataset(Section):
    # A folder with one folder of images per class, a pointer file of datasets/, or a built-in dataset: "sample" (chest
    # phantoms) or "digits" (scikit-learn's handwritten digits).
    uri: str = "sample"
    # Share of files that may be unreadable before the dataset is refused.
    max_unreadable: Fraction = 0.01
    # Share of files that may show a picture which stands in another class too; below it all its copies are left out.
    max_conflicts: Fraction = 0.0
    # The classes that the dataset must hold; empty: those of production's version may not vanish.
    classes: list[str] = []
    # Shares of the images that validate and test. An image that a model's ancestor trained on stays trained on.
    validation_share: Annotated[float, Field(gt=0, le=0.4)] = 0.12
    test_share: Annotated[float, Field(gt=0, le=0.4)] = 0.20
    # Which images belong together, such as those of one patient, and are never on two sides: "folder" (a sub-folder of
    # the class), "pattern:REGEX" (what its one group finds in the file's name), or
    # "csv:FILE:IMAGE_COLUMN:GROUP_COLUMN" (FILE is relative to the dataset's folder). Empty: each is by itself.
    groups: Annotated[str, StringConstraints(pattern=r"^(|folder|pattern:.+|csv:.+:.+:.+)$")] = ""
    # A folder for what is known of images that were decoded before; empty: in the cache of this machine. It may be
    # shared, and deleted.
    index: str = ""
    # What is reported: the largest class is so many times the smallest; a class's share of the images, and its mean
    # brightness, contrast, file and picture size, moved by so much (a share; deviations of the earlier images).
    max_imbalance: Annotated[float, Field(ge=1)] = 10
    max_mix_change: Fraction = 0.1
    max_shift: Annotated[float, Field(gt=0)] = 0.5


class Registry(Section):
    # A folder, relative to trainyard.toml, or gs://BUCKET/FOLDER.
    uri: str = ".trainyard/registry"


class Signing(Section):
    """Elliptic-curve keys in PEM files, relative to trainyard.toml; or kept by a KMS or a hardware module."""

    # Signs what is published. Empty: <registry>.keys/signing.pem beside the registry's folder, made on first use; for
    # a registry in a bucket it has to be named. pkcs11:token=…;object=…?module-path=… never leaves its keeper.
    key: str = ""
    # Keys whose signatures count, or folders whose *.pub are such; without any, it is the public half of `key`.
    public_keys: list[str] = []


class Gates(Section):
    # Least accuracy on the held-out images.
    min_accuracy: Fraction = 0.85
    # Least recall of every class.
    min_recall: Fraction = 0.7
    # How far a retrained model may fall behind production on the same images (accuracy and recall per class).
    tolerance: Fraction = 0.02


class Tests(Section):
    """What a model test may find; gates hold for tests too."""

    # Share of answers that a harmless change of a picture may turn.
    max_flips: Fraction = 0.15
    # Mean probability of the answered class over pictures of something else than the model knows.
    max_confidence: Fraction = 0.98
    # What 95 % of answers must stay under while several callers ask at once, in milliseconds.
    max_p95_ms: Annotated[float, Field(gt=0)] = 1000
    # That figure, and the requests answered a second, against production's in the same run.
    max_slowdown: Annotated[float, Field(ge=1)] = 2.0
    # How much a model server's memory may grow from one burst of requests to the next, in MiB.
    max_growth_mib: Annotated[float, Field(gt=0)] = 128


class Drift(Section):
    """How far what production is asked may be from what its model was tested on."""

    # The adapters' HTTP addresses, HOST:PORT; a name may stand for several, as in [serving] pods.
    metrics: list[str] = []
    # Fewer images tell nothing.
    min_images: Annotated[int, Field(ge=1)] = 200
    # Population stability index of the predicted classes.
    max_psi: Annotated[float, Field(gt=0)] = 0.25
    # By how much mean certainty may fall short of the accuracy on held-out images.
    max_certainty_loss: Fraction = 0.1
    # Of mean brightness, in deviations of the dataset's images.
    max_brightness_shift: Annotated[float, Field(gt=0)] = 0.5


class Mail(Section):
    # One address, or several with commas or semicolons between.
    owner: str = "owner@example.com"
    sender: str = "trainyard@example.com"
    # Empty: mails are written to the outbox folder instead. The password comes from TRAINYARD_SMTP_PASSWORD.
    smtp_host: str = ""
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    smtp_user: str = ""
    # How the conversation is encrypted: from a plain beginning on ("starttls", or true), from its first byte ("tls",
    # and always on port 465), or not at all ("none", or false).
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    outbox: str = ".trainyard/outbox"

    @field_validator("owner", "sender")
    @classmethod
    def _are_addresses(cls, text: str) -> str:
        return mail_addresses(text) if text.strip() else text

    @field_validator("smtp_tls", mode="before")
    @classmethod
    def _was_a_switch(cls, value: object) -> object:
        try:
            return "starttls" if _SWITCH.validate_python(value) else "none"
        except ValidationError:
            return value


class Serving(Section):
    # The adapters' gRPC addresses, HOST:PORT, that a promotion waits for. A name with several
    # addresses (a headless Kubernetes service) stands for all of them.
    pods: list[str] = []
    # How adapters that want to know who asks are asked: a file with a bearer token on its first line; PEM files of who
    # signed their certificate (then they are asked by TLS), and of a certificate of one's own with its key; and the
    # name in their certificate, where they are asked by their addresses.
    token_file: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""
    server_name: str = ""
    # Seconds a promotion waits for every pod to load the new version.
    rollover_timeout: Annotated[float, Field(gt=0)] = 120
    # What each of a pod's two programs may take; models are tested within the same.
    memory_mib: Annotated[float, Field(gt=0)] = 2048


class Containers(Section):
    """Of `--executor docker`."""

    # {program} is train, retrain, test_model, adapter or model_server.
    image: str = "trainyard/{program}:latest"
    # Of one container, as Docker writes it: 512m, 4g.
    memory: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*[kmg]$")] = "4g"
    # Processors of one container; 0 for all there are.
    cpus: Annotated[float, Field(ge=0)] = 0


class Kubernetes(Section):
    """Of `--executor kubernetes`."""

    # The namespace of Jobs, and the one that models are tested in.
    jobs: Name = "trainyard-jobs"
    staging: Name = "trainyard-staging"
    # Where the images of a run are pushed to: REGION-docker.pkg.dev/PROJECT/REPOSITORY. Empty: nothing is built, and
    # the images named in infra/k8s/images are taken.
    images: str = ""


class Settings(Section):
    """All of trainyard.toml."""

    model: Model = Model()
    dataset: Dataset = Dataset()
    registry: Registry = Registry()
    signing: Signing = Signing()
    gates: Gates = Gates()
    tests: Tests = Tests()
    drift: Drift = Drift()
    mail: Mail = Mail()
    serving: Serving = Serving()
    containers: Containers = Containers()
    kubernetes: Kubernetes = Kubernetes()
