"""Images in base64, as JSON. What costs more to read than to send is counted before anything reads it."""

import binascii

from pydantic import BaseModel, ValidationError, model_validator

from serving.adapter.refusals import BadImage, BadRequest, Refusal, TooLarge

_EXPECTED = 'Expected a JSON object {"images": [base64, …]}, or {"image": base64}.'
# Objects, lists and names that a request of ours needs, and some to spare.
_MOST_BRACKETS = 16
# base64 breaks its lines after 64 letters or more, and PHP writes every slash as two characters: one letter in 64.
_LETTERS_AN_ESCAPE = 32
# Letters that are turned into bytes at once; the interpreter's lock is held for each piece.
_PIECE = 4 * 256 * 1024
_BLANKS = b" \t\r\n"


class JsonBody(BaseModel):
    """Images in base64: a list of them, or one."""

    images: list[str] = []
    image: str | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "JsonBody":
        if len(self.model_fields_set) != 1 or (self.image is None and "image" in self.model_fields_set):
            raise ValueError("expected image or images")
        return self


def read_json(body: bytes, max_images: int) -> tuple[list[bytes | Refusal], bool]:
    """The images in `body`, and whether they came as a list.

    Raises:
        BadRequest: it is another kind of JSON, or none.
        TooLarge: it has more than `max_images` images.
    """
    if body.count(b"[") + body.count(b"{") > _MOST_BRACKETS:
        raise BadRequest(_EXPECTED)
    # A comma stands between two images, and may stand in the "data:" before one.
    if body.count(b",") > 2 * max_images:
        raise TooLarge(f"The request has more than {max_images} images; send several requests.")
    if body.count(b"\\") * _LETTERS_AN_ESCAPE > len(body) + 1024:
        raise BadRequest(f"{_EXPECTED} This one is escapes (\\) for the most part.")
    try:
        sent = JsonBody.model_validate_json(body)
    except ValidationError:
        raise BadRequest(_EXPECTED) from None
    if sent.image is not None:
        return [read_base64(sent.image)], False
    return [read_base64(image) for image in sent.images], True


def read_base64(text: str) -> bytes | Refusal:
    """The bytes that `text` stands for. A "data:" address is read too."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        # `base64 FILE` breaks its lines, and some encoders leave out the padding.
        letters = text.encode("ascii").translate(None, _BLANKS).rstrip(b"=")
        pieces = [
            binascii.a2b_base64(_padded(letters[start : start + _PIECE]), strict_mode=True)
            for start in range(0, len(letters), _PIECE)
        ]
    except ValueError:  # of both: what is no ASCII, and what is no base64
        if "-" in text or "_" in text:
            return BadImage("This is not base64: its letters are + and /, where URL-safe base64 has - and _.")
        return BadImage("This is not base64.")
    return b"".join(pieces)


def _padded(letters: bytes) -> bytes:
    return letters + b"=" * (-len(letters) % 4)
