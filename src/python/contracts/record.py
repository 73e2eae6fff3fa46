"""What is known of a version: where it comes from, how good it is, what its files are, what was decided about it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

# Low and high end, shares of 1.
Interval = tuple[float, float]
State = Literal["training", "candidate", "tested", "rejected", "production", "retired"]

# A test may be repeated, and come out otherwise, as long as the version has not been in production.
TRANSITIONS: dict[str, set[str]] = {
    "training": {"candidate", "rejected"},
    "candidate": {"tested", "rejected"},
    "tested": {"rejected", "production"},
    "rejected": {"tested"},
    "production": {"retired"},
    "retired": {"production"},
}


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClassMetrics(Part):
    precision: float
    recall: float
    f1: float
    support: int


class Metrics(Part):
    accuracy: float
    images: int
    per_class: dict[str, ClassMetrics]
    # Rows are the true classes, columns the predicted ones, both in the order of the record's labels.
    confusion: list[list[int]]


class MetricsBySplit(Part):
    train: Metrics | None = None
    validation: Metrics | None = None
    test: Metrics | None = None
    # Production's model on the same test images.
    baseline: Metrics | None = None


class Code(Part):
    commit: str | None = None
    dirty: bool | None = None
    # Name of a library -> its version.
    components: dict[str, str] = {}


class Step(Part):
    name: str
    started: str
    ended: str
    seconds: float


class SplitRule(Part):
    # Shares of the images, 0 to 1; the rest is trained on.
    test: float
    validation: float
    # How groups were told that stay on one side ([dataset] groups); "" where each image was by itself.
    groups: str = ""


class EpochMetrics(Part):
    loss: float
    validation_loss: float
    validation_accuracy: float


class Trial(Part):
    """One network that was trained on the way to a version."""

    number: int
    parameters: dict[str, JsonValue]
    # Why it was over: epochs, time, patience, faultless, hopeless or diverged.
    ended: str
    seconds: float
    # On the validation images, of the best epoch; none if it diverged.
    validation: Metrics | None = None
    history: list[EpochMetrics] = []
    # How long it meant to be, in epochs, at the start of each epoch. A repetition follows that instead of the clock.
    planned: list[int] = []
    chosen: bool = False


class DatasetUsed(Part):
    uri: str
    fingerprint: str
    images: int
    classes: dict[str, int]
    statistics: dict[str, Any] = {}
    # What the images were split by: this version's rule, then those of its ancestors that differ.
    splits: list[SplitRule] = []
    # How groups of images, such as those of one patient, were told ([dataset] groups); "" where they were not.
    groups: str = ""


class Evaluation(Part):
    """How good a version is on its test images, in more than counts. All intervals hold 95 %."""

    # Mean over the classes; None where a class has no image.
    roc_auc: float | None = None
    mean_confidence: float | None = None
    # Expected calibration error, with and without temperature scaling.
    calibration_error: float | None = None
    calibration_error_unscaled: float | None = None
    temperature: float | None = None
    accuracy_interval: Interval | None = None
    recall_intervals: dict[str, Interval] = {}
    # Groups of images on which it is worse than on the others, such as "class COVID".
    weak: list[str] = []


class InputUsed(Part):
    """How an image becomes the pixels that a version was trained on (imaging.ImageInput)."""

    # Pixels, both sides.
    size: int = Field(ge=1)
    channels: Literal[1, 3] = 1
    # How an oblong picture becomes square.
    oblong: Literal["stretch", "pad", "crop"] = "stretch"
    # The 16-bit sample that is full white.
    white: int = Field(default=65535, ge=1, le=65535)


class Golden(Part):
    # A PNG in base64.
    image: str
    # In the order of the record's labels.
    probabilities: list[float]


class Verdict(Part):
    kind: Literal["gate", "test"]
    passed: bool
    reasons: list[str] = []
    # UTC, ISO 8601.
    at: str
    details: Any = None

    def allowed_for_chance(self) -> list[str]:
        """Where the version is behind its baseline by no more than chance explains: a sentence each."""
        found = self.details.get("allowed_for_chance") if isinstance(self.details, dict) else None
        return [str(sentence) for sentence in found] if isinstance(found, list) else []


class Record(Part):
    version: int = Field(ge=1)
    model: str
    state: State
    kind: Literal["train", "retrain"]
    parent: int | None = None
    # Class names in the model's order.
    labels: list[str] = []
    # Height and width in pixels of the model's input.
    image_size: int = 0
    # All that decoding needs; None in records of before there was more than a size.
    input: InputUsed | None = None
    task: str = "one label"
    # UTC, ISO 8601.
    created: str
    code: Code = Code()
    executor: str = "local"
    arguments: list[str] = []
    steps: list[Step] = []
    dataset: DatasetUsed | None = None
    seed: int = 0
    # Family, network, input, changes and schedule; in older records the residual network's own parameters.
    parameters: dict[str, JsonValue] = {}
    # All that was tried; the chosen one has the record's parameters.
    trials: list[Trial] = []
    metrics: MetricsBySplit = MetricsBySplit()
    evaluation: Evaluation = Evaluation()
    # Relative path -> sha256 in hex.
    files: dict[str, str] = {}
    # The signature over `files` (registry.signing), as a Sigstore bundle; empty in records older than signatures.
    sigstore: dict[str, JsonValue] = {}
    # Names, types and shapes of the model's inputs and outputs.
    signature: dict[str, JsonValue] = {}
    golden: list[Golden] = []
    verdicts: list[Verdict] = []
    # False where a run left out the checks of its commit (`--no-check`).
    checked: bool = True
    # The run (its key) that has to end its checks before the version may become a candidate; empty where none has to.
    awaits: str = ""
    # The digest of the held-out images, and how many versions were judged on just those, this one and rejected ones
    # included; empty and 0 in records that did not count.
    held_out: str = ""
    judged: int = Field(default=0, ge=0)
    # Why the run happened.
    reason: str = ""
    # When the model's files were removed to make room: UTC, ISO 8601.
    removed: str | None = None

    def missed_gate(self) -> bool:
        """Whether its training ended short of the gate: no files of such a version were saved."""
        return self.state == "rejected" and not self.files

    def gate_reasons(self) -> list[str]:
        """Why it missed the training gate; empty where it passed it, or has not come so far."""
        return next((verdict.reasons for verdict in reversed(self.verdicts) if verdict.kind == "gate"), [])
