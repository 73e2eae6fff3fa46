"""Draws the examples that the page offers to try: `./pants run benchmarks:examples`. None is anybody's picture."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import command_line, run

if TYPE_CHECKING:
    from PIL import Image

SIDE = 192  # pixels of a phantom, which is drawn larger
SEED = 7
DIGITS = (0, 2, 3, 7, 8)
# Of scikit-learn's digits, which the model was trained on.
_GRID, _DRAWN = 8, 160

app = command_line("examples", "Draws the examples that the page offers to try.", ["./pants run benchmarks:examples"])


@app.command()
def examples(
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where the folders of models go.")] = Path(
        "serving/adapter/examples"
    ),
) -> None:
    """Draw the examples."""
    for model, drawn in (("chest-xray", phantoms()), ("digits", digits())):
        folder = to / model
        folder.mkdir(parents=True, exist_ok=True)
        for name, image in drawn:
            image.save(folder / name, optimize=True)
            typer.echo(f"{model}/{name}: {(folder / name).stat().st_size / 1024:.1f} KiB")


def phantoms() -> "Iterator[tuple[str, Image.Image]]":
    """A chest of each class, as the sample dataset's are drawn."""
    import numpy as np
    from PIL import Image

    from dataset import phantom

    for number, label in enumerate(phantom.CLASSES):
        # Another seed than datasets are drawn with: no model has seen them.
        picture = Image.fromarray(phantom.draw(label, np.random.default_rng([SEED, 2**20, number])))
        yield f"drawn-{label.lower().replace(' ', '-')}.png", picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def digits() -> "Iterator[tuple[str, Image.Image]]":
    """Digits of a font, in as few pixels as the handwritten ones have."""
    from PIL import Image, ImageDraw, ImageFilter, ImageFont

    font = ImageFont.load_default(_DRAWN * 1.05)
    for digit in DIGITS:
        large = Image.new("L", (_DRAWN, _DRAWN))
        pen = ImageDraw.Draw(large)
        pen.text((_DRAWN / 2, _DRAWN / 2), str(digit), fill=255, font=font, anchor="mm", stroke_width=5)
        # The handwritten ones fill the height, and fade at their edges.
        box = large.getbbox()
        assert box
        large = large.crop(box).resize((round(_DRAWN * 0.7), _DRAWN))
        canvas = Image.new("L", (_DRAWN, _DRAWN))
        canvas.paste(large, (round(_DRAWN * 0.15), 0))
        soft = canvas.filter(ImageFilter.GaussianBlur(_DRAWN / _GRID / 3))
        yield f"drawn-{digit}.png", soft.resize((_GRID, _GRID), Image.Resampling.BOX)


if __name__ == "__main__":
    run(app)
