"""The REST face: classification, the model, health and metrics."""

import re
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, BeforeValidator, Field

from serving.adapter import pages, problems
from serving.adapter.backend import Scores
from serving.adapter.body import Body, Image, JsonBody, read_body
from serving.adapter.predictor import Choice
from serving.adapter.problems import Problem, problem
from serving.adapter.refusals import Refusal
from serving.adapter.service import Service
from serving.float32 import shortest

_MAX_VERSION = 2**63 - 1


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


class Version(BaseModel):
    version: int
    state: str = Field(description="START, LOADING, AVAILABLE, UNLOADING or END.")
    error: str = Field(description="Empty, or why the version could not be loaded.")


class Model(BaseModel):
    """What is being served, asked of the model server at the time of the request."""

    model: str
    versions: list[Version]
    version_labels: dict[str, int] = Field(description='"stable" and, after a second promotion, "previous".')
    labels: list[str] = Field(description="Classes of the stable version, in the model's order.")
    image_size: int = Field(description="Height and width in pixels of the stable version's input; 0 without one.")


class Ready(BaseModel):
    status: str
    version: int


class Live(BaseModel):
    status: str


def create_app(service: Service) -> FastAPI:
    """The REST interface of `service`, with the page at /."""
    model = service.predictor.model
    app = FastAPI(
        title="Trainyard classifier",
        summary=f"Classifies images with the model '{model}'.",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    problems.install(app)
    pages.install(app)

    @app.post(
        "/v1/classify",
        summary="Classify one image or several",
        tags=["Classification"],
        responses=_problems(400, 404, 413, 415, 422, 500, 503, 504),
        openapi_extra={"requestBody": _request_body(service.limits.max_images)},
    )
    async def classify(
        request: Request,
        version: Annotated[
            int | None,
            BeforeValidator(_version_number),
            Query(ge=1, le=_MAX_VERSION, description="Ask this version instead of the stable one."),
        ] = None,
        version_label: Annotated[
            str | None,
            Query(
                min_length=1,
                max_length=200,
                description="Ask the version with this label instead; not with version.",
            ),
        ] = None,
    ) -> Prediction | Predictions:
        """An image as the body gets one answer. Files in a form, or base64 in JSON, get a list of answers, in which
        a bad image fails alone; if it is the only one, the whole answer is a problem document."""
        body = Body(images=[], is_list=False)

        async def read() -> tuple[list[bytes | Refusal], Choice]:
            nonlocal body
            choice = Choice(version, version_label)
            body = await read_body(request, service.limits)
            return [image.data for image in body.images], choice

        answer = await service.classify("POST /v1/classify", read)
        if len(answer.outcomes) == 1 and isinstance(answer.outcomes[0], Refusal):
            raise answer.outcomes[0]
        results = [
            _result(image, outcome, model, answer.version)
            for image, outcome in zip(body.images, answer.outcomes, strict=True)
        ]
        if not body.is_list and isinstance(results[0], Classified):
            return Prediction(**results[0].model_dump(exclude={"name"}))
        return Predictions(model=model, version=answer.version, results=results)

    @app.get("/v1/model", tags=["Classification"], summary="What is being served", responses=_problems(500, 503, 504))
    async def served_model() -> Model:
        served = await service.describe("GET /v1/model")
        return Model(
            model=served.name,
            versions=[Version(version=one.number, state=one.state, error=one.error) for one in served.versions],
            version_labels=served.version_labels,
            labels=list(served.labels),
            image_size=served.image_size,
        )

    @app.get("/livez", tags=["Operation"], summary="Whether the adapter runs")
    async def livez() -> Live:
        return Live(status="alive")

    @app.get(
        "/readyz",
        tags=["Operation"],
        summary="Whether the stable version can answer",
        responses=_problems(500, 503, 504),
    )
    async def readyz() -> Ready:
        return Ready(status="ready", version=await service.ready())

    @app.get(
        "/metrics",
        tags=["Operation"],
        summary="Counters and latencies for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return app


def _version_number(text: str) -> str:
    # What int() takes for a number as well, such as 01, +1, 1.0 or 1_000, is none here.
    if not re.fullmatch("[1-9][0-9]*", text):
        raise ValueError("a version is a whole number from 1 up")
    return text


def _result(image: Image, outcome: Scores | Refusal, model: str, version: int) -> Classified | Failed:
    if isinstance(outcome, Refusal):
        return Failed(name=image.name, error=problem(outcome))
    ranked = outcome.ranked()
    scores = {label: shortest(probability) for label, probability in ranked}
    return Classified(name=image.name, label=ranked[0][0], scores=scores, model=model, version=version)


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {
            "description": "A problem document (RFC 9457)",
            "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def _request_body(max_images: int) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    files = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1, "maxItems": max_images}
    form = {"type": "object", "properties": {"images": files}, "required": ["images"]}
    json_body = JsonBody.model_json_schema()
    json_body["properties"]["images"] |= {"minItems": 1, "maxItems": max_images}
    json_body["properties"]["images"]["items"]["contentEncoding"] = "base64"
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": form},
            "image/png": binary,
            "image/jpeg": binary,
            "application/octet-stream": binary,
            "application/json": {"schema": json_body},
        },
    }
