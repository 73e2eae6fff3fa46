"""The Open Inference Protocol over REST."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from serving.adapter import v2_json
from serving.adapter.body import Bodies, receive_body, unpack
from serving.adapter.metrics import INFER
from serving.adapter.predictor import Choice, Pixels
from serving.adapter.refusals import Refusal, Unavailable
from serving.adapter.service import Service
from serving.adapter.v2_tensors import (
    EXTENSIONS,
    PLATFORM,
    SERVER,
    Tensor,
    check_model,
    choice_of,
    images_of,
    inputs_told,
    outputs_of,
    outputs_told,
    versions_told,
)

_Name = Annotated[str, Path(description="The model's name.")]
_Version = Annotated[str, Path(description="Of the model; a number.")]
# For the description: whatever goes wrong is told in the protocol's own form.
_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
_ERRORS: dict[int | str, dict[str, object]] = {
    status: {"description": "What is wrong", "content": {"application/json": {"schema": _ERROR}}}
    for status in (400, 401, 403, 404, 408, 413, 415, 421, 422, 429, 500, 503, 504)
}
_TENSOR = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "enum": ["image", "pixels"]},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 4},
        "datatype": {"type": "string", "enum": ["BYTES", "UINT8"]},
        "data": {"type": "array", "description": "Files in base64, or pixels from 0 to 255."},
        "parameters": {"type": "object"},
    },
    "required": ["name", "shape", "datatype"],
}
_OUTPUT = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "parameters": {"type": "object"}},
    "required": ["name"],
}
_INFER = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "maxLength": 1000},
        "inputs": {"type": "array", "items": _TENSOR, "minItems": 1, "maxItems": 1},
        "outputs": {"type": "array", "items": _OUTPUT, "maxItems": 8},
        "parameters": {"type": "object"},
    },
    "required": ["inputs"],
}
# docs/open-inference.md says what JSON Schema can't: bytes behind the JSON, and which shape goes with which type.
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": _INFER}}}}


def router(service: Service, bodies: Bodies, version: str) -> APIRouter:
    """Everything below /v2; `version` is Trainyard's."""
    routes = APIRouter(prefix="/v2", tags=["Open Inference Protocol"], responses=_ERRORS)
    model = service.predictor.model

    @routes.get("", summary="What answers here")
    async def server() -> dict[str, object]:
        return {"name": SERVER, "version": version, "extensions": list(EXTENSIONS)}

    @routes.get("/health/live", summary="Whether the adapter runs")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @routes.get("/health/ready", summary="Whether the stable version can answer")
    async def ready() -> dict[str, bool]:
        await service.ready()
        return {"ready": True}

    @routes.get("/models/{name}/ready", summary="Whether the model can answer")
    async def model_ready(name: _Name) -> dict[str, object]:
        check_model(name, model)
        await service.ready()
        return {"name": model, "ready": True}

    @routes.get("/models/{name}/versions/{number}/ready", summary="Whether a version can answer")
    async def version_ready(name: _Name, number: _Version) -> dict[str, object]:
        check_model(name, model)
        await check_ready(service, number)
        return {"name": model, "ready": True}

    async def told(name: str) -> dict[str, object]:
        check_model(name, model)
        served = await service.describe("GET /v2/models")
        keys = ("name", "datatype", "shape")
        return {
            "name": model,
            "versions": versions_told(served),
            "platform": PLATFORM,
            "inputs": [dict(zip(keys, one, strict=True)) for one in inputs_told(served)],
            "outputs": [dict(zip(keys, one, strict=True)) for one in outputs_told(served)],
        }

    @routes.get("/models/{name}", summary="What the model takes and gives")
    async def metadata(name: _Name) -> dict[str, object]:
        return await told(name)

    @routes.get("/models/{name}/versions/{number}", summary="The same, of a version")
    async def version_metadata(name: _Name, number: _Version) -> dict[str, object]:
        await check_ready(service, number)
        return await told(name)

    async def inferred(request: Request, name: str, number: str) -> Response:
        asked, sent, choice = v2_json.Infer(inputs=[]), b"", Choice()

        async def receive() -> None:
            nonlocal sent, choice
            check_model(name, model)
            choice = choice_of(number)
            sent = await receive_body(request, service.limits, room)

        async def read() -> tuple[Sequence[bytes | Pixels | Refusal], Choice]:
            nonlocal asked
            header = request.headers.get(v2_json.HEADER)
            asked, tensors = await asyncio.to_thread(_read, request, sent, header)
            return images_of(tensors, service.limits.max_images), choice

        def _read(request: Request, body: bytes, header: str | None) -> tuple[v2_json.Infer, list[Tensor]]:
            return v2_json.read(unpack(request, body, service.limits), header)

        with bodies.room() as room:
            answer = await service.classify(INFER, read, receive=receive)
        outputs = outputs_of(answer, [one.name for one in asked.outputs])
        body, headers = v2_json.written(model, answer.version, asked, outputs)
        return Response(body, headers=headers)

    @routes.post("/models/{name}/infer", summary="Classify", response_class=Response, openapi_extra=_BODY)
    async def infer(request: Request, name: _Name) -> Response:
        return await inferred(request, name, "")

    @routes.post(
        "/models/{name}/versions/{number}/infer",
        summary="Classify by a version",
        response_class=Response,
        openapi_extra=_BODY,
    )
    async def version_infer(request: Request, name: _Name, number: _Version) -> Response:
        return await inferred(request, name, number)

    return routes


async def check_ready(service: Service, number: str) -> None:
    """
    Raises:
        Refusal: the version is no number, or not being served.
    """
    chosen = choice_of(number).version
    if chosen is None:
        await service.ready()
        return
    served = await service.describe("GET /v2/models")
    if not any(one.number == chosen and one.state == "AVAILABLE" for one in served.versions):
        raise Unavailable(f"Version {chosen} of model '{served.name}' is not loaded.")
