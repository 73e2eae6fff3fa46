"""What the model tests are given: the candidate, what to compare it with, and images it never saw."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import TypeVar

from pydantic import TypeAdapter

from cli.loopback import open_url
from contracts.changes import Changes
from contracts.classes import name_among, named_as
from contracts.record import Record
from contracts.verdict import Loads, Memory
from imaging import ImageInput
from registry import PREVIOUS, STABLE
from serving.client import Client, ClientError, Prediction
from serving.pod import Pod
from settings import Settings
from testing.load import CALLERS, measure_load, measure_memory
from testing.quiet import alone

# About so many held-out images are asked over the wire at most, spread evenly over them.
MOST_IMAGES = 400
_BATCH_SECONDS = 30.0
_T = TypeVar("_T")


@dataclass(frozen=True)
class Labelled:
    """An image file's bytes with its true class."""

    name: str
    image: bytes
    label: str
    # Number of the group it belongs to, such as one patient's images; None where none are told.
    group: int | None = None


@dataclass(frozen=True)
class Budget:
    """What a candidate may cost or lack: [gates] and [tests] of the settings, which tell units and defaults."""

    min_accuracy: float
    min_recall: float
    # How far it may fall behind production on the same images.
    tolerance: float
    max_flips: float
    max_confidence: float
    max_p95_ms: float
    max_slowdown: float
    max_growth_mib: float
    # Where a limit comes from, in words, by its name.
    origins: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> "Budget":
        return cls(**settings.gates.model_dump(), **settings.tests.model_dump())

    def limits(self) -> dict[str, float | None]:
        """The limits by their names, as a verdict keeps them."""
        return {name: value for name, value in asdict(self).items() if name != "origins"}

    def told(self, name: str) -> str:
        """A limit and where it comes from, for the sentence that says it was missed."""
        value, origin = getattr(self, name), self.origins.get(name)
        return f"{value:g} ({origin})" if origin else f"{value:g}"


@dataclass
class Subject:
    """A candidate served by the clone `pod`, which `client` asks."""

    client: Client
    pod: Pod
    candidate: Record
    baseline: Record | None
    holdout: list[Labelled]
    budget: Budget
    say: Callable[[str], None] = lambda text: None
    # What is asked or measured once and then remembered, by its name; a failure too.
    _known: dict[str, object] = field(default_factory=dict)

    @property
    def input(self) -> ImageInput:
        """What the candidate wants to see."""
        return input_of(self.candidate)

    def ask(self, images: Sequence[bytes], version_label: str | None = None) -> list[Prediction]:
        """Answers to `images`, in their order, several asked at a time.

        Raises:
            ClientError: one of them got no answer; the others are not waited for.
        """
        callers = ThreadPoolExecutor(CALLERS)
        try:
            return list(callers.map(lambda image: self.client.classify(image, version_label=version_label), images))
        finally:
            callers.shutdown(cancel_futures=True)

    def ask_at_once(self, images: Sequence[bytes]) -> list[Prediction]:
        """Answers to `images`, in their order, asked in one request: the model gets them as one batch.

        Raises:
            ClientError: the request got no answer, or one that does not answer each of the images.
        """
        body = json.dumps({"images": [base64.b64encode(image).decode() for image in images]}).encode()
        request = urllib.request.Request(f"{self.pod.url}/v1/classify", body, {"Content-Type": "application/json"})
        try:
            with open_url(request, _BATCH_SECONDS) as answer:
                answered = json.load(answer)
            return [
                Prediction(one["label"], one["scores"], answered["version"])
                for _, one in zip(images, answered["results"], strict=True)
            ]
        except urllib.error.HTTPError as error:
            raise ClientError(f"A request of {len(images)} images was refused: {error.read().decode()}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise ClientError(f"A request of {len(images)} images was not answered image by image: {error!r}") from None

    def ask_holdout(self, version_label: str | None = None) -> list[Prediction]:
        """Answers to the held-out images."""
        return self._once(
            f"answers of {version_label or STABLE}",
            lambda: self.ask(self._images(), version_label),
        )

    def ask_baseline(self) -> list[Prediction] | None:
        """Production's answers to the held-out images, by the candidate's names of the classes; None where nothing is
        in production."""
        if self.baseline is None:
            return None
        labels = self.candidate.labels
        return [
            replace(answer, label=name_among(answer.label, labels), scores=named_as(answer.scores, labels))
            for answer in self.ask_holdout(PREVIOUS)
        ]

    def load(self) -> Loads:
        """How fast "candidate" and "production" answer when several ask at once, in turns."""
        labels, images = {"candidate": STABLE, "production": PREVIOUS if self.baseline else None}, self._images()

        def measure() -> Loads:
            with alone(self.say):
                return measure_load(self.client, labels, images)

        return self._once("load", measure)

    def memory(self) -> Memory | None:
        """The model server's memory and how requests change it; None where it can't be seen."""

        def measure() -> Memory | None:
            with alone(self.say):
                return measure_memory(self.pod, self.client, self._images())

        return self._once("memory", measure)

    def measured(self, name: str) -> object | None:
        """What `load` or `memory` found, if a test has asked for it."""
        found = self._known.get(name)
        return None if isinstance(found, BaseException) else found

    def _images(self) -> list[bytes]:
        return [item.image for item in self.holdout]

    def _once(self, name: str, ask: Callable[[], _T]) -> _T:
        if name not in self._known:
            try:
                self._known[name] = ask()
            except ClientError as error:
                # Asking a silent model again would take just as long.
                self._known[name] = error
        found = self._known[name]
        if isinstance(found, ClientError):
            raise found
        return found  # type: ignore[return-value]


def input_of(record: Record) -> ImageInput:
    """How an image becomes the pixels that a version was trained on."""
    return ImageInput.recorded(record.input, record.image_size)


def changes_of(record: Record) -> Changes:
    """Which changes of a picture keep its class. Records of before models could say it are of X-rays."""
    return TypeAdapter(Changes).validate_python(record.parameters.get("changes") or {})
