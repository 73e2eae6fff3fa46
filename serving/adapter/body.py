"""The images in the body of a REST request, whichever of the three ways they are sent."""

import base64
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from serving.adapter.limits import Limits
from serving.adapter.refusals import BadImage, BadRequest, Refusal, TooLarge, UnknownFormat

ACCEPTED = "multipart/form-data, application/json or an image itself (image/png, image/jpeg)"


class JsonBody(BaseModel):
    """Images in base64."""

    images: list[str]


@dataclass(frozen=True)
class Image:
    """One image as it was sent, or why it can't be had; `name` is the file's name if one came with it."""

    data: bytes | Refusal
    name: str | None = None


@dataclass(frozen=True)
class Body:
    """The images of one request, at least one. One that came as the body itself is no list of one."""

    images: list[Image]
    is_list: bool


async def read_body(request: Request, limits: Limits) -> Body:
    """Read the images of `request`.

    Raises:
        TooLarge: more bytes or images than `limits` allow; told before they are read where the request says so.
        UnknownFormat: a body of another content type.
        BadRequest: a body that can't be read, or holds no image.
    """
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limits.max_request_bytes:
        raise _too_many_bytes(limits)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type.startswith("image/") or media_type == "application/octet-stream":
        return Body([Image(await _whole(request, limits))], is_list=False)
    if media_type == "multipart/form-data":
        images = await _multipart(request, limits)
    elif media_type == "application/json":
        images = _json(await _whole(request, limits))
    else:
        raise UnknownFormat(f"Expected a body of {ACCEPTED}. Received: {media_type or 'no content type'}.")
    if not images:
        raise BadRequest("The request holds no image.")
    if len(images) > limits.max_images:
        raise _too_many_images(limits)
    return Body(images, is_list=True)


async def _limited(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    received = 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received > limits.max_request_bytes:
                raise _too_many_bytes(limits)
            yield chunk
    except ClientDisconnect:
        # Nobody reads this, but the request is counted under it.
        raise BadRequest("The connection was closed before the whole request was sent.") from None


async def _whole(request: Request, limits: Limits) -> bytes:
    return b"".join([chunk async for chunk in _limited(request, limits)])


def _json(body: bytes) -> list[Image]:
    try:
        images = JsonBody.model_validate_json(body).images
    except ValidationError:
        raise BadRequest('Expected a JSON object {"images": [base64, …]}.') from None
    return [Image(_base64(image)) for image in images]


def _base64(text: str) -> bytes | Refusal:
    try:
        # `base64 FILE` breaks its lines.
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        return BadImage("This is not base64.")


async def _multipart(request: Request, limits: Limits) -> list[Image]:
    parser = MultiPartParser(
        request.headers, _limited(request, limits), max_files=limits.max_images, max_fields=limits.max_images
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise _too_many_images(limits) from None
        raise BadRequest("The multipart body can't be read.") from None
    try:
        images = []
        for name, part in form.multi_items():
            if not isinstance(part, UploadFile):
                raise BadRequest(f"Form field '{name}' is not a file; every field must hold an image file.")
            images.append(Image(await part.read(), part.filename or None))
        return images
    finally:
        await form.close()


def _too_many_bytes(limits: Limits) -> TooLarge:
    return TooLarge(f"The request has more than {limits.max_request_bytes} bytes; send fewer or smaller images.")


def _too_many_images(limits: Limits) -> TooLarge:
    return TooLarge(f"The request has more than {limits.max_images} images; send several requests.")
