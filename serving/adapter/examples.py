"""Pictures that the page offers to try: drawn ones that come along for our own models, or those of a folder."""

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, Field

from cli.errors import UsageError
from imaging import kinds
from serving.adapter.schemas import problems_of

_ENDINGS = (".png", ".jpg", ".jpeg")
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_MOST, _MOST_BYTES = 12, 1024 * 1024


class Example(BaseModel):
    """A picture to try."""

    name: str
    address: str = Field(description="Where the picture is, on this adapter.")


class Examples(BaseModel):
    """Pictures to try, which were drawn, or were named by --examples."""

    drawn: bool = Field(description="Whether they came with the adapter, and are drawings.")
    examples: list[Example]


def load(folder: Path | None, model: str) -> tuple[dict[str, bytes], bool]:
    """Name -> picture, from `folder` or else those that were drawn for `model`; and whether they are the drawn ones.

    Raises:
        UsageError: the folder holds none, or too much.
    """
    if folder is None:
        drawn = resources.files(__package__).joinpath("examples", model)
        # A name of several parts is no folder here.
        return (_read(drawn) if "/" not in model and drawn.is_dir() else {}), True
    try:
        found = _read(folder)
    except OSError as error:
        raise UsageError(f"--examples {folder} can't be read: {error.strerror}.") from None
    wrong = [name for name, data in found.items() if len(data) > _MOST_BYTES or not kinds.known(data)]
    if wrong:
        raise UsageError(f"--examples {folder}: {wrong[0]} is no PNG or JPEG of up to {_MOST_BYTES} bytes.")
    if not 0 < len(found) <= _MOST:
        raise UsageError(f"--examples {folder} holds {len(found)} pictures (PNG, JPEG); expected 1 to {_MOST}.")
    return found, False


def router(pictures: dict[str, bytes], drawn: bool) -> APIRouter:
    """What tells of `pictures`, and gives them."""
    made = APIRouter(tags=["Page"])
    listed = [Example(name=name, address=f"/v1/examples/{number}") for number, name in enumerate(pictures)]
    contents = list(pictures.values())

    @made.get("/v1/examples", summary="Pictures to try")
    async def examples() -> Examples:
        """The page offers them. None where none were drawn for the model, and --examples names no folder."""
        return Examples(drawn=drawn, examples=listed)

    @made.get(
        "/v1/examples/{number}",
        summary="One of them",
        response_class=Response,
        responses={200: {"content": {"image/png": _BINARY, "image/jpeg": _BINARY}}, **problems_of(404, 422)},
    )
    async def example(number: int) -> Response:
        if not 0 <= number < len(contents):
            raise HTTPException(404)
        data = contents[number]
        kind = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
        return Response(data, media_type=kind, headers={"Cache-Control": "no-cache"})

    return made


def _read(folder: Traversable) -> dict[str, bytes]:
    files = sorted(
        (file for file in folder.iterdir() if file.name.lower().endswith(_ENDINGS)), key=lambda one: one.name
    )
    return {file.name: file.read_bytes() for file in files[: _MOST + 1]}
