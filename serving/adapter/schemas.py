"""What the REST interface takes and gives, as it is described at /docs."""

from pydantic import BaseModel, Field

from contracts.about import About as Told
from serving.adapter.backend import Scores
from serving.adapter.body import Image
from serving.adapter.json_body import JsonBody
from serving.adapter.limits import Limits
from serving.adapter.predictor import ServedModel
from serving.adapter.problems import MEDIA_TYPE, Problem, problem
from serving.adapter.refusals import Refusal
from serving.float32 import shortest


class Prediction(BaseModel):
    """What the model says of one image."""

    label: str = Field(description="The most probable class.")
    scores: dict[str, float] = Field(description="Every class with its probability, most probable first.")
    model: str
    version: int = Field(description="The model version that answered.")


class Classified(Prediction):
    """An answer among several."""

    name: str | None = Field(description="The file's name, if one was sent.")


class Failed(BaseModel):
    """Why one image among several has no answer."""

    name: str | None = Field(description="The file's name, if one was sent.")
    error: Problem


class Predictions(BaseModel):
    """Answers in the order of the images, all by the same version of the model."""

    model: str
    version: int = Field(description="The model version that answered.")
    results: list[Classified | Failed]


class About(BaseModel):
    """What a version tells of itself."""

    accuracy: float = Field(description="The share of held-out images that it got right when it was made, 0 to 1.")
    accuracy_low: float | None = Field(description="The low end of its 95 % interval.")
    accuracy_high: float | None = Field(description="The high end.")
    images: int = Field(description="How many held-out images there were.")
    card: str = Field(description="The model's card: what it is for, and what it is not for. Empty without one.")


class Version(BaseModel):
    version: int
    state: str = Field(description="START, LOADING, AVAILABLE, UNLOADING or END.")
    error: str = Field(description="Empty, or why the version could not be loaded.")
    about: About | None = Field(
        description="null for a version that tells nothing, as those made before versions did, or is not loaded."
    )


class Model(BaseModel):
    """What is being served, asked of the model server at the time of the request."""

    model: str
    versions: list[Version]
    version_labels: dict[str, int] = Field(description='"stable" and, after a second promotion, "previous".')
    labels: list[str] = Field(description="Classes of the stable version, in the model's order.")
    image_size: int = Field(description="Height and width in pixels of the stable version's input; 0 without one.")
    channels: int = Field(description="Channels of its input: 1 gray, 3 red, green and blue; 0 without one.")
    oblong: str = Field(
        description='How an oblong picture becomes square for it: "stretch", "pad" (black bars) or "crop" (its middle).'
    )
    white: int = Field(description="The sample of a 16-bit image that is full white for it; 0 without one.")
    explains: bool = Field(description="Whether this adapter makes explanations (--explain).")


class Explained(BaseModel):
    """What of an image its answer rests on, as covering parts of it tells: no cause, and no outline of a finding."""

    model: str
    version: int = Field(description="The model version that answered.")
    label: str = Field(description="The most probable class.")
    probability: float = Field(description="Its probability for the whole image.")
    falls: list[list[float]] = Field(
        description="What is taken from that probability when a part is covered, by row and column of the square that "
        "the model sees; below zero where covering adds to it. What is covered is a square of twice a cell's width in "
        "the image's average shade."
    )
    picture: str = Field(description="The square that the model sees, as PNG in base64.")
    images: int = Field(description="Images that the model was asked about, which --rate has counted.")


class Ready(BaseModel):
    status: str
    version: int


class Live(BaseModel):
    status: str


def result(image: Image, outcome: Scores | Refusal, model: str, version: int) -> Classified | Failed:
    """The answer for one image of a request."""
    if isinstance(outcome, Refusal):
        return Failed(name=image.name, error=problem(outcome))
    ranked = outcome.ranked()
    scores = {label: shortest(probability) for label, probability in ranked}
    return Classified(name=image.name, label=ranked[0][0], scores=scores, model=model, version=version)


def described(served: ServedModel, limits: Limits) -> Model:
    """What is being served."""
    image = served.image
    return Model(
        model=served.name,
        versions=[
            Version(version=one.number, state=one.state, error=one.error, about=_about(served.about.get(one.number)))
            for one in served.versions
        ],
        version_labels=served.version_labels,
        labels=list(served.labels),
        image_size=image.size if image else 0,
        channels=image.channels if image else 0,
        oblong=image.oblong if image else "",
        white=image.white if image else 0,
        explains=limits.max_explanations > 0,
    )


def _about(told: Told | None) -> About | None:
    if told is None:
        return None
    low, high = told.interval or (None, None)
    return About(accuracy=told.accuracy, accuracy_low=low, accuracy_high=high, images=told.images, card=told.card)


def problems_of(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The description of answers that are problem documents."""
    return {
        status: {
            "description": "A problem document (RFC 9457)",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def request_body(max_images: int) -> dict[str, object]:
    """The description of the ways to send images."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    files = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1, "maxItems": max_images}
    form = {"type": "object", "properties": {"images": files}, "required": ["images"]}
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": form},
            "image/png": binary,
            "image/jpeg": binary,
            "application/octet-stream": binary,
            "application/json": {"schema": _json_body(max_images)},
        },
    }


def _json_body(max_images: int) -> dict[str, object]:
    image = {"type": "string", "contentEncoding": "base64"}
    images = {"type": "array", "items": image, "minItems": 1, "maxItems": max_images}
    return {
        "title": JsonBody.__name__,
        "description": JsonBody.__doc__,
        "oneOf": [
            {"type": "object", "properties": {"image": image}, "required": ["image"]},
            {"type": "object", "properties": {"images": images}, "required": ["images"]},
        ],
    }
