"""The images in the body of a REST request, whichever of the ways they are sent."""

import base64
import binascii
import zlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request
from pydantic import BaseModel, ValidationError, model_validator
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from imaging import kinds
from serving.adapter.limits import Limits
from serving.adapter.refusals import BadImage, BadRequest, Refusal, TooLarge, UnknownFormat

_ACCEPTED = "multipart/form-data, application/json or an image itself (image/png, image/jpeg)"
_CALL = "curl --data-binary @image.png -H 'Content-Type: image/png' ADDRESS"
# What is sent without a word about its kind, and what curl says of every --data-binary.
_UNTOLD = ("", "application/x-www-form-urlencoded")
_GZIP = 16 + zlib.MAX_WBITS  # zlib's number for gzip's header and trailer


class JsonBody(BaseModel):
    """Images in base64: a list of them, or one."""

    images: list[str] = []
    image: str | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "JsonBody":
        if len(self.model_fields_set) != 1 or (self.image is None and "image" in self.model_fields_set):
            raise ValueError("expected image or images")
        return self


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
    if media_type in _UNTOLD and kinds.known(data := await _whole(request, limits)):
        return Body([Image(data)], is_list=False)
    if media_type == "multipart/form-data":
        body = Body(await _multipart(request, limits), is_list=True)
    elif media_type == "application/json":
        body = _json(await _whole(request, limits))
    else:
        received = media_type or "no content type"
        raise UnknownFormat(f"Expected a body of {_ACCEPTED}. Received: {received}. An image is sent by: {_CALL}")
    if not body.images:
        raise BadRequest("The request holds no image.")
    if len(body.images) > limits.max_images:
        raise _too_many_images(limits)
    return body


async def _limited(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    """The body, unpacked, and never more of it than `limits` allow."""
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise UnknownFormat(f"The header Content-Encoding is '{encoding}'; send the body as it is, or as gzip.")
    unpacked = _Unpacked(limits) if encoding.endswith("gzip") else None
    received = 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received > limits.max_request_bytes:
                raise _too_many_bytes(limits)
            yield unpacked.more(chunk) if unpacked else chunk
    except ClientDisconnect:
        # Nobody reads this, but the request is counted under it.
        raise BadRequest("The connection was closed before the whole request was sent.") from None
    if unpacked:
        unpacked.check_end()


class _Unpacked:
    """A body that came as gzip, of one part or several."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._stream = zlib.decompressobj(_GZIP)
        self._bytes = 0

    def more(self, chunk: bytes) -> bytes:
        """What `chunk` holds.

        Raises:
            BadRequest, TooLarge: it is no gzip, or holds more than a request may have.
        """
        parts = []
        while chunk:
            if self._stream.eof:
                self._stream = zlib.decompressobj(_GZIP)
            try:
                # One more than there is room for, to tell a full request from one that is over it.
                parts.append(self._stream.decompress(chunk, self._limits.max_request_bytes + 1 - self._bytes))
            except zlib.error:
                raise self._broken() from None
            self._bytes += len(parts[-1])
            if self._bytes > self._limits.max_request_bytes:
                raise _too_many_bytes(self._limits)
            chunk = self._stream.unused_data
        return b"".join(parts)

    def check_end(self) -> None:
        if not self._stream.eof:
            raise self._broken()

    def _broken(self) -> BadRequest:
        return BadRequest("The body is no gzip, or cut off, which the header Content-Encoding says that it is.")


async def _whole(request: Request, limits: Limits) -> bytes:
    return b"".join([chunk async for chunk in _limited(request, limits)])


def _json(body: bytes) -> Body:
    try:
        sent = JsonBody.model_validate_json(body)
    except ValidationError:
        raise BadRequest('Expected a JSON object {"images": [base64, …]}, or {"image": base64}.') from None
    if sent.image is not None:
        return Body([Image(_base64(sent.image))], is_list=False)
    return Body([Image(_base64(image)) for image in sent.images], is_list=True)


def _base64(text: str) -> bytes | Refusal:
    # `base64 FILE` breaks its lines, and some encoders leave out the padding.
    letters = "".join(text.split()).rstrip("=")
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except (binascii.Error, ValueError):
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
