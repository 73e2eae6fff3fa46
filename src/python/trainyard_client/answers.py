"""What an adapter answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Prediction:
    """The model's answer for one image; `scores` holds every class, most probable first."""

    label: str
    scores: dict[str, float]
    version: int


@dataclass(frozen=True)
class ServedModel:
    """What an adapter serves at one moment.

    `versions` maps each version to its state (START, LOADING, AVAILABLE, UNLOADING, END), `version_labels` "stable"
    and "previous" to their versions. The rest is the stable version's: its classes, and what it makes of an image:
    size in pixels, channels (1 gray, 3 colour), how an oblong one becomes square ("stretch", "pad", "crop") and the
    16-bit sample that is white. An adapter of an earlier version tells neither channels (0) nor the rest.
    """

    name: str
    versions: dict[int, str]
    version_labels: dict[str, int]
    labels: list[str]
    image_size: int
    channels: int = 0
    oblong: str = ""
    white: int = 0

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> "ServedModel":
        """Of what `GET /v1/model` answers."""
        return cls(
            name=answer["model"],
            versions={version["version"]: version["state"] for version in answer["versions"]},
            version_labels=dict(answer["version_labels"]),
            labels=list(answer["labels"]),
            image_size=answer["image_size"],
            channels=answer.get("channels", 0),
            oblong=answer.get("oblong", ""),
            white=answer.get("white", 0),
        )


def check_choice(version: int | None, version_label: str | None) -> None:
    """
    Raises:
        ValueError: both a version and a label are chosen, or neither can exist.
    """
    if version is not None and version_label is not None:
        raise ValueError("Expected a version or a version_label. Received: both")
    if (version is not None and version < 1) or version_label == "":
        raise ValueError(f"Expected a version of 1 or more, or a label. Received: {version or version_label!r}")
