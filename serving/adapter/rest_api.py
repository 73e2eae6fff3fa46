"""The REST face: classification, the model, health and metrics."""

from fastapi import FastAPI, Request, Response
from starlette.middleware.cors import CORSMiddleware

from cli.version import VERSION
from serving.adapter import examples, explain_rest, pages, problems, v2_rest
from serving.adapter.access import Access
from serving.adapter.body import Bodies, Body, read_body, receive_body
from serving.adapter.direct import Direct
from serving.adapter.gate import Gate
from serving.adapter.metrics import CLASSIFY
from serving.adapter.parameters import Label, Name, Version
from serving.adapter.predictor import Choice
from serving.adapter.refusals import Refusal, UnknownModel
from serving.adapter.schemas import (
    Classified,
    Live,
    Model,
    Prediction,
    Predictions,
    Ready,
    described,
    problems_of,
    request_body,
    result,
)
from serving.adapter.service import Service

_Answer = Prediction | Predictions


def create_app(
    service: Service, access: Access, loopback: bool, pictures: tuple[dict[str, bytes], bool] = ({}, True)
) -> FastAPI:
    """The REST interface of `service`, with the page at /, for those whom `access` lets in.

    `loopback` says that it is reached from this machine alone; `pictures` are what `examples.load` found.
    """
    model = service.predictor.model
    app = FastAPI(
        title="Trainyard classifier",
        summary=f"Classifies images with the model '{model}'.",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        # A redirect would name this server's own scheme: http, behind whatever ends TLS.
        redirect_slashes=False,
    )
    bodies = Bodies(service.limits.max_held_bytes)

    async def classified(request: Request, name: str, version: Version, version_label: Label) -> _Answer:
        body, choice, sent = Body(images=[], is_list=False), Choice(), b""

        async def receive() -> None:
            nonlocal choice, sent
            if name != model:
                raise UnknownModel(name, model)
            choice = Choice(version, version_label)
            sent = await receive_body(request, service.limits, room)

        async def read() -> tuple[list[bytes | Refusal], Choice]:
            nonlocal body
            body = await read_body(request, sent, service.limits)
            return [image.data for image in body.images], choice

        with bodies.room() as room:
            answer = await service.classify(CLASSIFY, read, receive=receive)
        if len(answer.outcomes) == 1 and isinstance(answer.outcomes[0], Refusal):
            raise answer.outcomes[0]
        results = [
            result(image, outcome, model, answer.version)
            for image, outcome in zip(body.images, answer.outcomes, strict=True)
        ]
        if not body.is_list and isinstance(results[0], Classified):
            return Prediction(**results[0].model_dump(exclude={"name"}))
        return Predictions(model=model, version=answer.version, results=results)

    problems.install(app)
    app.add_middleware(Direct, classify=lambda request: classified(request, model, None, None))
    app.add_middleware(Gate, service=service, access=access, loopback=loopback)
    pages.install(app)
    if access.options.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=access.options.allowed_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-Id", "Traceparent", "Tracestate"],
            expose_headers=["Retry-After", "X-Request-Id"],
        )

    async def told(name: str) -> Model:
        if name != model:
            raise UnknownModel(name, model)
        return described(await service.describe("GET /v1/model"), service.limits)

    @app.post(
        "/v1/classify",
        summary="Classify one image or several",
        tags=["Classification"],
        responses=problems_of(400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503, 504),
        openapi_extra={"requestBody": request_body(service.limits.max_images)},
    )
    async def classify(request: Request, version: Version = None, version_label: Label = None) -> _Answer:
        """An image as the body gets one answer, and so does {"image": base64}. Files in a form, or {"images": [base64,
        ...]}, get a list of answers, in which a bad image fails alone; if it is the only one, the whole answer is a
        problem document."""
        return await classified(request, model, version, version_label)

    @app.post(
        "/v1/models/{name}/classify",
        summary="The same, of a model by its name",
        tags=["Classification"],
        responses=problems_of(400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503, 504),
        openapi_extra={"requestBody": request_body(service.limits.max_images)},
    )
    async def classify_by_name(
        request: Request, name: Name, version: Version = None, version_label: Label = None
    ) -> _Answer:
        """As /v1/classify, for who reaches several models at one address: another name is answered with 404."""
        return await classified(request, name, version, version_label)

    @app.get("/v1/model", tags=["Classification"], summary="What is being served", responses=problems_of(500, 503, 504))
    async def served_model() -> Model:
        return await told(model)

    @app.get(
        "/v1/models/{name}",
        tags=["Classification"],
        summary="The same, of a model by its name",
        responses=problems_of(404, 500, 503, 504),
    )
    async def served_model_by_name(name: Name) -> Model:
        return await told(name)

    @app.get("/livez", tags=["Operation"], summary="Whether the adapter runs")
    async def livez() -> Live:
        return Live(status="alive")

    @app.get(
        "/readyz",
        tags=["Operation"],
        summary="Whether the stable version can answer",
        responses=problems_of(500, 503, 504),
    )
    async def readyz() -> Ready:
        return Ready(status="ready", version=await service.ready())

    app.include_router(explain_rest.router(service, bodies))
    app.include_router(examples.router(*pictures))
    app.include_router(v2_rest.router(service, bodies, VERSION))
    if access.options.metrics_port is None:
        _add_metrics(app, service)
    return app


def create_metrics_app(service: Service) -> FastAPI:
    """What a port of its own for metrics answers: those and nothing else."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    problems.install(app)
    _add_metrics(app, service)
    return app


def _add_metrics(app: FastAPI, service: Service) -> None:
    @app.get(
        "/metrics",
        tags=["Operation"],
        summary="Counters and latencies for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics(request: Request) -> Response:
        text, kind = service.metrics.exposition(request.headers.get("accept", ""))
        return Response(text, media_type=kind)
