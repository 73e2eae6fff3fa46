"""What the model tests found of a version: verdict.json, and what `test_model --json` prints.

Its fields are added to and never renamed. A verdict of an earlier Trainyard stays readable: what it does not hold was
not measured.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from contracts.record import Metrics

# "broken": the test itself went wrong, which says nothing about the model.
Outcome = Literal["passed", "failed", "skipped", "broken"]
# Low and high end of what holds the true figure in 95 of 100 cases.
Interval = tuple[float, float]


class Part(BaseModel):
    # What a later Trainyard adds is no reason to refuse a verdict.
    model_config = ConfigDict(extra="ignore", frozen=True)


class OneTest(Part):
    """How one model test ended."""

    # Its place: test_golden.py::test_it of the common suites, models/NAME/tests/test_own.py::test_it of a model's own.
    name: str
    outcome: Outcome
    seconds: float
    # Why it did not pass.
    message: str = ""
    # Whose test it is: "common", or the model's name.
    suite: str = "common"


class Fault(Part):
    """A model test that went wrong by itself."""

    # In the repository.
    file: str
    # Of the test; empty where the file could not even be read.
    name: str
    # What it raised, and where.
    error: str

    def __str__(self) -> str:
        return f"{self.file}{'::' + self.name if self.name else ''}: {self.error}"


class Load(Part):
    """Times of single requests while several callers ask at once, and how many were answered a second.

    The figures are those of the least disturbed turn, the samples those of all.
    """

    requests: int
    p50_ms: float
    p95_ms: float
    requests_per_second: float
    samples_ms: list[float] = []


class Loads(Part):
    """Of the version under test and of production's, measured in turns."""

    candidate: Load | None = None
    production: Load | None = None


class Memory(Part):
    """Of the model server, in MiB: after a first burst of requests, how much a second one added, and at its highest."""

    loaded_mib: float | None = None
    growth_mib: float | None = None
    peak_mib: float
    limit_mib: float | None = None


class Mistake(Part):
    """A held-out image that got a wrong answer."""

    name: str
    label: str
    answered: str
    probability: float
    # A thumbnail: PNG in base64.
    image: str


class Intervals(Part):
    """What holds the true figures in 95 of 100 cases, per class but for the accuracy."""

    accuracy: Interval
    recall: dict[str, Interval] = {}
    precision: dict[str, Interval] = {}
    f1: dict[str, Interval] = {}


class JudgedOn(Part):
    """The dataset whose held-out images were asked about."""

    uri: str
    fingerprint: str


@dataclass(frozen=True)
class Commit:
    # Short.
    hash: str
    author: str
    subject: str


@dataclass(frozen=True)
class Changed:
    """What differs from production's version: commits, newest first, and images; what is not known is empty."""

    commits: tuple[Commit, ...] = ()
    # So many commits beyond those listed.
    more: int = 0
    # In words.
    images: str = ""

    def __bool__(self) -> bool:
        return bool(self.commits or self.images)


class ModelVerdict(Part):
    """On one version. None is what was not measured."""

    version: int
    passed: bool
    reasons: list[str] = []
    # Production's version, if it was served beside it.
    baseline_version: int | None = None
    # Over the wire, on the same held-out images.
    metrics: Metrics | None = None
    baseline: Metrics | None = None
    intervals: Intervals | None = None
    # Where it seems to be behind production by more than the tolerance, and may be so by chance: a sentence each.
    allowed_for_chance: list[str] = []
    latency: Loads | None = None
    memory: Memory | None = None
    mistakes: list[Mistake] | None = None
    # A request was not answered in time, which may be the machine's fault as well as the model's.
    too_slow: bool = False
    tests: list[OneTest] = []
    # Tests that went wrong by themselves, beside others that failed.
    broken: list[Fault] = []
    seconds: float | None = None
    attempts: int | None = None
    # Why a first try gave no verdict.
    first_try: str | None = None
    model_server: str | None = None
    dataset: JudgedOn | None = None
    # The limits in force by their names in [gates] and [tests], and what set those that the gates take.
    budget: dict[str, float | None] | None = None
    budget_from: dict[str, str] = {}
    changed: Changed | None = None
    executor: str | None = None
    # UTC, ISO 8601.
    at: str | None = None
    # Where the page is.
    report: str = ""

    def as_json(self) -> dict[str, object]:
        return self.model_dump(mode="json")
