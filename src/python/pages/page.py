"""Templates to pages, and pictures to what a page can hold."""

import base64
import io
from collections.abc import Mapping
from importlib import resources
from typing import Any

_THUMBNAIL = 160  # pixels, the longer side


def render(package: str, name: str, view: Mapping[str, Any]) -> bytes:
    """The page that template `name` of `package` makes of `view`; it may extend "base.html".

    Class names come from folder names: nothing in a view is trusted with markup.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def source(wanted: str) -> str:
        return resources.files("pages" if wanted == "base.html" else package).joinpath(wanted).read_text("utf-8")

    environment = Environment(
        autoescape=True, loader=FunctionLoader(source), trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.1f}\N{NO-BREAK SPACE}%"
    # A file name may hold bytes that are no text.
    return environment.get_template(name).render(view).encode("utf-8", "replace")


def address(png: bytes) -> str:
    """An address that holds the picture itself."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def thumbnail(data: bytes, channels: int = 1, white: int = 65535) -> str:
    """The address of what `thumbnail_png` makes."""
    return address(thumbnail_png(data, channels, white))


def thumbnail_png(data: bytes, channels: int = 1, white: int = 65535) -> bytes:
    """A small picture of the PNG or JPEG in `data`, gray or in colour (3 channels), its proportions kept.

    Raises:
        ImageError: it is none, or is damaged.
    """
    from PIL import Image

    from imaging import ImageInput
    from imaging.array import canonical

    seen = canonical(data, ImageInput(_THUMBNAIL, channels, white=white))
    square = Image.fromarray(seen if channels == 3 else seen[:, :, 0])
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as header:
        width, height = header.size
    scale = _THUMBNAIL / max(width, height)
    small = io.BytesIO()
    square.resize((max(1, round(width * scale)), max(1, round(height * scale)))).save(small, "PNG")
    return small.getvalue()
