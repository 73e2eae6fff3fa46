"""Explanations over REST."""

import base64

from fastapi import APIRouter, Request

from serving.adapter.body import Bodies, read_body, receive_body
from serving.adapter.parameters import Label, Name, Version
from serving.adapter.predictor import Choice
from serving.adapter.refusals import BadRequest, Refusal, UnknownModel
from serving.adapter.schemas import Explained, problems_of, request_body
from serving.adapter.service import Service
from serving.float32 import shortest

_STATUSES = (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503, 504)


def router(service: Service, bodies: Bodies) -> APIRouter:
    """What explains answers of `service`; `bodies` counts the bytes of all requests."""
    made, model = APIRouter(tags=["Explanation"], responses=problems_of(*_STATUSES)), service.predictor.model
    body = {"requestBody": request_body(1)}

    async def explained(request: Request, name: str, version: int | None, version_label: str | None) -> Explained:
        choice, sent = Choice(), b""

        async def receive() -> None:
            nonlocal choice, sent
            if name != model:
                raise UnknownModel(name, model)
            choice = Choice(version, version_label)
            sent = await receive_body(request, service.limits, room)

        async def read() -> tuple[bytes | Refusal, Choice]:
            images = (await read_body(request, sent, service.limits)).images
            if len(images) > 1:
                raise BadRequest(f"An explanation is of one image. Received: {len(images)}; send a request for each.")
            return images[0].data, choice

        with bodies.room() as room:
            found = await service.explain(receive, read, request.is_disconnected)
        return Explained(
            model=model,
            version=found.version,
            label=found.label,
            probability=shortest(found.probability),
            falls=found.falls,
            picture=base64.b64encode(found.picture).decode(),
            images=found.images,
        )

    @made.post("/v1/explain", summary="What of an image its answer rests on", openapi_extra=body)
    async def explain(request: Request, version: Version = None, version_label: Label = None) -> Explained:
        """With --explain alone; 404 without. The image is sent as for /v1/classify, one in a request. Each part of it
        is covered in turn, and the model asked again: about 65 images, which --rate counts. One explanation is made
        at a time, while nothing is being classified; otherwise the answer is 429, with Retry-After."""
        return await explained(request, model, version, version_label)

    @made.post("/v1/models/{name}/explain", summary="The same, of a model by its name", openapi_extra=body)
    async def explain_by_name(
        request: Request, name: Name, version: Version = None, version_label: Label = None
    ) -> Explained:
        """As /v1/explain, for who reaches several models at one address: another name is answered with 404."""
        return await explained(request, name, version, version_label)

    return made
