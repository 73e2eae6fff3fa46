"""The images in the body of a REST request, whichever of the ways they are sent."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.requests import ClientDisconnect

from imaging import kinds
from serving.adapter.forms import read_form
from serving.adapter.gzipped import unpacked
from serving.adapter.json_body import read_json
from serving.adapter.limits import Limits
from serving.adapter.refusals import (
    BadRequest,
    Overloaded,
    Refusal,
    SlowRequest,
    TooLarge,
    UnknownFormat,
)

_ACCEPTED = "multipart/form-data, application/json or an image itself (image/png, image/jpeg)"
_CALL = "curl --data-binary @image.png -H 'Content-Type: image/png' ADDRESS"
# What is sent without a word about its kind, and what curl says of every --data-binary.
_UNTOLD = ("", "application/x-www-form-urlencoded")


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


class Bodies:
    """Counts the bytes of all bodies that are being received or worked on."""

    def __init__(self, max_bytes: int) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes

    @contextmanager
    def room(self) -> Iterator["Room"]:
        room = Room(self)
        try:
            yield room
        finally:
            self.bytes -= room.bytes

    def take(self, size: int) -> None:
        if self.bytes + size > self._max_bytes:
            raise Overloaded("There are too many bytes in the requests of this moment; try again shortly.")
        self.bytes += size


class Room:
    """The bytes of one body."""

    def __init__(self, bodies: Bodies) -> None:
        self.bytes = 0
        self._bodies = bodies

    def grow(self, size: int) -> None:
        """
        Raises:
            Overloaded: all bodies together are too many bytes.
        """
        self._bodies.take(size)
        self.bytes += size


async def receive_body(request: Request, limits: Limits, room: Room) -> bytes:
    """The body as it was sent.

    Raises:
        TooLarge: more bytes than `limits` allow; told before they are read where the request says so.
        UnknownFormat: it is packed in a way that is not read here.
        SlowRequest: it comes at less than the lowest rate.
        Overloaded: all bodies together are too many bytes.
        BadRequest: the connection was closed.
    """
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limits.max_request_bytes:
        raise _too_many_bytes(limits)
    _packed(request)
    chunks: list[bytes] = []
    received, began = 0, asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(limits.body_grace) as deadline:
            async for chunk in request.stream():
                received += len(chunk)
                if received > limits.max_request_bytes:
                    raise _too_many_bytes(limits)
                room.grow(len(chunk))
                chunks.append(chunk)
                deadline.reschedule(began + limits.body_grace + received / limits.min_body_rate)
    except TimeoutError:
        raise SlowRequest(
            f"The request's body came too slowly: {received} bytes in {limits.body_grace:g} seconds and more."
        ) from None
    except ClientDisconnect:
        # Nobody reads this, but the request is counted under it.
        raise BadRequest("The connection was closed before the whole request was sent.") from None
    return b"".join(chunks)


async def read_body(request: Request, body: bytes, limits: Limits) -> Body:
    """The images in `body`, which is that of `request`. What takes time is done beside the event loop.

    Raises:
        TooLarge: more bytes or images than `limits` allow.
        UnknownFormat: a body of another content type.
        BadRequest: a body that can't be read, or holds no image.
    """
    content_type = request.headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if not _packed(request) and _is_image(media_type):
        return Body([Image(body)], is_list=False)
    return await asyncio.to_thread(_read, content_type, media_type, body, _packed(request), limits)


def unpack(request: Request, body: bytes, limits: Limits) -> bytes:
    """The body as it was before it was packed, which the request may say that it is.

    Raises:
        UnknownFormat, BadRequest, TooLarge: it is packed otherwise, is broken, or holds too much.
    """
    return unpacked(body, limits.max_request_bytes) if _packed(request) else body


def _read(content_type: str, media_type: str, body: bytes, packed: bool, limits: Limits) -> Body:
    if packed:
        body = unpacked(body, limits.max_request_bytes)
    if _is_image(media_type) or (media_type in _UNTOLD and kinds.known(body)):
        return Body([Image(body)], is_list=False)
    is_list = True
    if media_type == "multipart/form-data":
        images = [Image(file.data, file.name) for file in read_form(content_type, body, limits.max_images)]
    elif media_type == "application/json":
        read, is_list = read_json(body, limits.max_images)
        images = [Image(data) for data in read]
    else:
        received = media_type or "no content type"
        raise UnknownFormat(f"Expected a body of {_ACCEPTED}. Received: {received[:100]}. An image is sent by: {_CALL}")
    if not images:
        raise BadRequest("The request holds no image.")
    if len(images) > limits.max_images:
        raise TooLarge(f"The request has more than {limits.max_images} images; send several requests.")
    return Body(images, is_list)


def _is_image(media_type: str) -> bool:
    return media_type.startswith("image/") or media_type == "application/octet-stream"


def _packed(request: Request) -> bool:
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise UnknownFormat(f"The header Content-Encoding is '{encoding[:100]}'; send the body as it is, or as gzip.")
    return encoding.endswith("gzip")


def _too_many_bytes(limits: Limits) -> TooLarge:
    return TooLarge(f"The request has more than {limits.max_request_bytes} bytes; send fewer or smaller images.")
