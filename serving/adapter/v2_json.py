"""Requests and answers of the Open Inference Protocol over REST: JSON, and tensors in bytes behind it."""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.adapter.json_body import read_base64
from serving.adapter.refusals import BadRequest, Refusal, TooLarge
from serving.adapter.v2_tensors import Output, Tensor, elements

HEADER = "Inference-Header-Content-Length"
# Numbers in JSON, each of which costs more to read than to send: an image of 600x600 pixels in colour.
_MOST_NUMBERS = 1_100_000
_MOST_BRACKETS = 400_000
_EXPECTED = 'Expected {"inputs": [{"name": …, "shape": […], "datatype": …, "data": […]}]}.'


class _Input(BaseModel):
    name: str
    datatype: str
    shape: list[int] = Field(max_length=8)
    data: Any = None
    parameters: dict[str, Any] = {}


class _Output(BaseModel):
    name: str
    parameters: dict[str, Any] = {}


class Infer(BaseModel):
    """A request to infer, without what stands behind the JSON."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field("", max_length=1000)
    inputs: list[_Input] = Field(max_length=8)
    outputs: list[_Output] = Field([], max_length=8)
    parameters: dict[str, Any] = {}

    def in_bytes(self, name: str) -> bool:
        """Whether an output is wanted in bytes."""
        asked = next((one.parameters.get("binary_data") for one in self.outputs if one.name == name), None)
        return bool(self.parameters.get("binary_data_output")) if asked is None else bool(asked)


def read(body: bytes, header: str | None) -> tuple[Infer, list[Tensor]]:
    """The request in `body`, whose first `header` bytes are JSON if it has more than that.

    Raises:
        BadRequest, TooLarge: it can't be read.
    """
    end = len(body)
    if header is not None:
        if not header.isascii() or not header.isdecimal() or len(header) > 12 or int(header) > end:
            raise BadRequest(f"The header {HEADER} is no number of bytes that the body has.")
        end = int(header)
    text, behind = body[:end], body[end:]
    if text.count(b",") > _MOST_NUMBERS or text.count(b"[") + text.count(b"{") > _MOST_BRACKETS:
        raise TooLarge("The JSON has too many values; send pixels in bytes (binary_data_size), or images as BYTES.")
    try:
        asked = Infer.model_validate_json(text)
    except ValidationError:
        raise BadRequest(_EXPECTED) from None
    tensors, place = [], 0
    for one in asked.inputs:
        size = one.parameters.get("binary_data_size")
        raw = None
        if size is not None:
            if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(behind) - place:
                raise BadRequest(f"binary_data_size of '{one.name[:40]}' is more than the body has.")
            raw, place = behind[place : place + size], place + size
        tensors.append(Tensor(one.name, one.datatype, tuple(one.shape), _data(one, raw)))
    if place != len(behind):
        raise BadRequest("The body is longer than its inputs are.")
    return asked, tensors


def _data(one: _Input, raw: bytes | None) -> list[bytes | Refusal]:
    if one.datatype == "BYTES":
        if raw is not None:
            return elements(raw)
        return [_image(value) for value in _flat(one.data)]
    if raw is not None:
        return [raw]
    try:
        return [bytes(_flat(one.data))]
    except (TypeError, ValueError):
        raise BadRequest(f"The input '{one.name[:40]}' holds other values than whole numbers from 0 to 255.") from None


def _image(value: object) -> bytes | Refusal:
    if not isinstance(value, str):
        raise BadRequest("Elements of BYTES are texts in base64.")
    return read_base64(value)


def _flat(data: object) -> list[Any]:
    """The values of nested lists, row by row."""
    if not isinstance(data, list):
        raise BadRequest(_EXPECTED)
    while data and isinstance(data[0], list):
        if not all(isinstance(part, list) for part in data):
            raise BadRequest("The data of an input is nested unevenly.")
        data = [value for part in data for value in part]
    return data


def written(model: str, version: int, asked: Infer, outputs: list[Output]) -> tuple[bytes, dict[str, str]]:
    """The answer's body, and the headers that belong to it."""
    told: list[dict[str, object]] = []
    behind: list[bytes] = []
    for output in outputs:
        one: dict[str, object] = {"name": output.name, "datatype": output.datatype, "shape": list(output.shape)}
        if asked.in_bytes(output.name):
            behind.append(output.raw())
            one["parameters"] = {"binary_data_size": len(behind[-1])}
        else:
            one["data"] = output.values
        told.append(one)
    answer = {"model_name": model, "model_version": str(version), "outputs": told}
    if asked.id:
        answer["id"] = asked.id
    text = json.dumps(answer).encode()
    if not behind:
        return text, {"Content-Type": "application/json"}
    headers = {"Content-Type": "application/octet-stream", HEADER: str(len(text))}
    return b"".join([text, *behind]), headers
