"""The Open Inference Protocol's view of a classifier, the same over REST and gRPC: tensors in, tensors out."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from serving.adapter.backend import Scores
from serving.adapter.predictor import Answer, Choice, Pixels, ServedModel
from serving.adapter.refusals import BadRequest, Refusal, TooLarge, UnknownModel

# Inputs: files of images, or pixels as the model takes them. A request has one of the two.
IMAGE, PIXELS = "image", "pixels"
PROBABILITIES, LABELS = "probabilities", "labels"
OUTPUTS = (PROBABILITIES, LABELS)
SERVER, EXTENSIONS = "trainyard", ("binary_tensor_data",)
PLATFORM = "tensorflow_serving"
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Tensor:
    """An input as it came; `data` is the files of IMAGE, or the bytes of PIXELS in one piece."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: list[bytes | Refusal]


@dataclass(frozen=True)
class Output:
    """An output; `values` are floats or texts, row by row."""

    name: str
    datatype: str
    shape: tuple[int, int]
    values: list[float] | list[str]

    def raw(self) -> bytes:
        """The values as the protocol lays them out in bytes."""
        if self.datatype == "FP32":
            return struct.pack(f"<{len(self.values)}f", *self.values)
        return b"".join(_LENGTH.pack(len(text)) + text for text in (str(one).encode() for one in self.values))


def check_model(name: str, served: str) -> None:
    if name != served:
        raise UnknownModel(name, served)


def choice_of(version: str) -> Choice:
    """The version by its number; an empty one is the stable one.

    Raises:
        BadRequest: it is no number.
    """
    if not version:
        return Choice()
    if not version.isascii() or not version.isdecimal() or version.startswith("0") or len(version) > 18:
        raise BadRequest(f"Expected a version number of 1 or more. Received: {version[:40]}.")
    return Choice(version=int(version))


def images_of(inputs: Sequence[Tensor], max_images: int) -> list[bytes | Pixels | Refusal]:
    """What is to be classified.

    Raises:
        BadRequest, TooLarge: it is no input of this model's, or too many images.
    """
    if len(inputs) != 1:
        raise BadRequest(f"Expected one input, '{IMAGE}' or '{PIXELS}'. Received: {len(inputs)}.")
    (tensor,) = inputs
    count = tensor.shape[0] if tensor.shape else 0
    if count > max_images:
        raise TooLarge(f"The request has more than {max_images} images; send several requests.")
    if tensor.name == IMAGE and tensor.datatype == "BYTES" and tensor.shape in ((count,), (count, 1)):
        if len(tensor.data) != count or not count:
            raise BadRequest(f"The input '{IMAGE}' has {len(tensor.data)} elements; its shape says {count}.")
        return list(tensor.data)
    if tensor.name == PIXELS and tensor.datatype == "UINT8" and len(tensor.shape) == 4:
        (data,) = tensor.data
        if isinstance(data, Refusal):
            raise data
        if min(tensor.shape) < 1 or prod(tensor.shape) != len(data):
            raise BadRequest(f"The input '{PIXELS}' has {len(data)} bytes, which its shape does not say.")
        size = len(data) // count
        height, width, channels = tensor.shape[1:]
        return [Pixels(data[n * size : (n + 1) * size], (height, width, channels)) for n in range(count)]
    raise BadRequest(
        f"Expected '{IMAGE}' (BYTES, shape [N]) or '{PIXELS}' (UINT8, shape [N,height,width,channels]). "
        f"Received: '{tensor.name[:40]}' ({tensor.datatype[:10]}, {len(tensor.shape)} dimensions)."
    )


def outputs_of(answer: Answer, wanted: Sequence[str]) -> list[Output]:
    """The outputs that are `wanted`, or all. The protocol has one answer a request, so one bad image fails it.

    Raises:
        Refusal: an image has no answer.
        BadRequest: there is no output of that name.
    """
    if unknown := [name for name in wanted if name not in OUTPUTS]:
        raise BadRequest(f"There is no output '{unknown[0][:40]}'; there are {' and '.join(OUTPUTS)}.")
    scores: list[Scores] = []
    for outcome in answer.outcomes:
        if isinstance(outcome, Refusal):
            raise outcome
        scores.append(outcome)
    shape = len(scores), len(scores[0].labels)
    made = {
        PROBABILITIES: Output(PROBABILITIES, "FP32", shape, [value for one in scores for value in one.probabilities]),
        LABELS: Output(LABELS, "BYTES", shape, [label for one in scores for label in one.labels]),
    }
    return [made[name] for name in (wanted or OUTPUTS)]


def elements(raw: bytes) -> list[bytes | Refusal]:
    """The elements of a BYTES tensor that came in one piece.

    Raises:
        BadRequest: a length in it leads beyond its end.
    """
    found: list[bytes | Refusal] = []
    place = 0
    while place < len(raw):
        if place + _LENGTH.size > len(raw):
            raise BadRequest("The elements of a BYTES tensor do not end where it does.")
        (length,) = _LENGTH.unpack_from(raw, place)
        place += _LENGTH.size
        if place + length > len(raw) or len(found) > _MOST_ELEMENTS:
            raise BadRequest("The elements of a BYTES tensor do not end where it does, or are too many.")
        found.append(raw[place : place + length])
        place += length
    return found


_MOST_ELEMENTS = 10_000


def inputs_told(served: ServedModel) -> list[tuple[str, str, list[int]]]:
    """Name, type and shape of each input; either is enough."""
    shape = list(served.image.shape) if served.image else [-1, -1, -1]
    return [(IMAGE, "BYTES", [-1]), (PIXELS, "UINT8", [-1, *shape])]


def outputs_told(served: ServedModel) -> list[tuple[str, str, list[int]]]:
    classes = len(served.labels) or -1
    return [(PROBABILITIES, "FP32", [-1, classes]), (LABELS, "BYTES", [-1, classes])]


def versions_told(served: ServedModel) -> list[str]:
    return [str(one.number) for one in served.versions if one.state == "AVAILABLE"]
