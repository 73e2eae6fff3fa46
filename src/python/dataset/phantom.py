"""Draws chest phantoms: plainly synthetic radiographs whose class can be seen, and learnt.

Normal: clear lungs. COVID: hazy patches at the outer rim of both lungs. Viral Pneumonia: streaks and haze that spread
from the middle. Position, build, exposure and noise vary as much within a class as between classes, so only the lungs
tell them apart.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from cli.machine import processors
from dataset.pool import in_order

CLASSES = ("COVID", "Normal", "Viral Pneumonia")
SIDE = 299  # pixels, as in Kaggle's COVID-19 Radiography archive

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


def write_sample(directory: Path, images_per_class: int, seed: int, first: int = 1) -> None:
    """Writes `<directory>/<class>/images/<class>-<n>.png`, gray 8-bit PNGs of 299x299 pixels, for n from `first` on.

    An image depends on `seed`, its class and its number alone, so a larger sample of the same seed holds the smaller.
    """

    def write(place: tuple[int, int]) -> None:
        index, number = place
        label = CLASSES[index]
        picture = draw(label, np.random.default_rng([seed, index, number]))
        Image.fromarray(picture).save(_folder(directory, label) / f"{label}-{number}.png", compress_level=1)

    for label in CLASSES:
        _folder(directory, label).mkdir(parents=True, exist_ok=True)
    places = product(range(len(CLASSES)), range(first, images_per_class + 1))
    # Blurring and compressing, half of the work, let other threads run.
    with ThreadPoolExecutor(processors()) as pool:
        for _ in in_order(pool, write, places):
            pass


def _folder(directory: Path, label: str) -> Path:
    return directory / label / "images"


def draw(label: str, random: np.random.Generator) -> np.ndarray:
    """One phantom of class `label`, uint8 [299, 299]."""
    middle = SIDE / 2 + random.uniform(-12, 12)
    top = random.uniform(38, 60)
    bottom = random.uniform(205, 240)
    half = random.uniform(88, 108)  # width of one side of the chest
    lungs = {
        side: _box(
            middle + side * half * 0.53, (top + bottom) / 2, half * random.uniform(0.38, 0.42), (bottom - top) / 2
        )
        for side in (-1, 1)
    }
    inside = _lungs(lungs, bottom)

    picture = 0.62 * _torso(middle, half, top)
    picture += 0.10 * _ribs(middle, half, top, bottom, random)
    picture -= random.uniform(0.36, 0.46) * inside
    picture += 0.12 * _spine(middle, random)
    picture += random.uniform(0.20, 0.28) * _heart(middle, half, bottom, random)
    if label == "COVID":
        picture += inside * _patches(lungs, random)
    elif label == "Viral Pneumonia":
        picture += inside * _streaks(lungs, middle, random)

    picture += 0.08 * _clouds(random, 6) * (picture > 0.2)
    exposure = np.clip(picture, 0, 1) ** random.uniform(0.8, 1.25) * random.uniform(0.85, 1.05)
    grain = random.normal(0, random.uniform(0.008, 0.02), (SIDE, SIDE)).astype(np.float32)
    pixels = (np.clip(exposure + grain, 0, 1) * 255).astype(np.uint8)
    return _marked(pixels, random)


def _box(x: float, y: float, half_width: float, half_height: float) -> Box:
    return x - half_width, y - half_height, x + half_width, y + half_height


def _canvas() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("L", (SIDE, SIDE))
    return image, ImageDraw.Draw(image)


def _soft(image: Image.Image, radius: float) -> np.ndarray:
    """The blurred drawing as float32 [299, 299] in 0..1."""
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32) / 255


def _torso(middle: float, half: float, top: float) -> np.ndarray:
    image, pen = _canvas()
    pen.rounded_rectangle((middle - half * 1.22, top - 22, middle + half * 1.22, SIDE + 60), 55, fill=230)
    pen.rectangle((middle - 30, 0, middle + 30, top), fill=200)  # neck
    pen.ellipse((middle - half, SIDE - 75, middle + half, SIDE + 90), fill=255)  # belly
    for side in (-1, 1):
        pen.line((middle + side * 12, top - 2, middle + side * half, top - 14), fill=255, width=8)  # collarbone
    return _soft(image, 5)


def _lungs(lungs: dict[int, Box], bottom: float) -> np.ndarray:
    image, pen = _canvas()
    for side, (left, top, right, low) in lungs.items():
        pen.ellipse((left, top, right, low + 30), fill=255)
        pen.ellipse((left - 12, bottom - 14 + 5 * side, right + 12, bottom + 80), fill=0)  # diaphragm
    return _soft(image, 4)


def _ribs(middle: float, half: float, top: float, bottom: float, random: np.random.Generator) -> np.ndarray:
    image, pen = _canvas()
    gap = (bottom - top) / random.uniform(7.5, 9)
    for number in range(9):
        y = top - 12 + number * gap
        for side in (-1, 1):
            box = _box(middle + side * half * 0.45, y + 26, half * 0.66, 30)
            pen.arc(box, 185 if side < 0 else 200, 340 if side < 0 else 355, fill=255, width=6)
    return _soft(image, 1.6)


def _spine(middle: float, random: np.random.Generator) -> np.ndarray:
    image, pen = _canvas()
    pen.rectangle((middle - 17, 0, middle + 17, SIDE), fill=150)
    for y in np.arange(random.uniform(0, 18), SIDE, 19):
        pen.rounded_rectangle((middle - 13, y, middle + 13, y + 13), 4, fill=240)
    return _soft(image, 2.5)


def _heart(middle: float, half: float, bottom: float, random: np.random.Generator) -> np.ndarray:
    image, pen = _canvas()
    width = half * random.uniform(0.40, 0.52)
    pen.ellipse((middle - width * 0.6, bottom - 95, middle + width * 1.25, bottom + 12), fill=255)
    pen.ellipse((middle - 22, bottom - 150, middle + 24, bottom - 60), fill=255)
    return _soft(image, 6)


def _patches(lungs: dict[int, Box], random: np.random.Generator) -> np.ndarray:
    """Blurred spots along the outer rim of both lungs, mottled like ground glass."""
    image, pen = _canvas()
    for side, (left, top, right, low) in lungs.items():
        for _ in range(random.integers(3, 6)):
            height = random.uniform(0.3, 0.85)
            # The rim of the ellipse at that height, a little inwards.
            reach = np.sqrt(1 - (2 * height - 1) ** 2) * random.uniform(0.55, 0.85)
            x = (left + right) / 2 + side * reach * (right - left) / 2
            radius = random.uniform(13, 24)
            pen.ellipse(_box(x, top + height * (low - top), radius, radius * 1.2), fill=int(random.integers(150, 255)))
    return random.uniform(0.30, 0.45) * _soft(image, 7) * (0.7 + 0.6 * _clouds(random, 50))


def _streaks(lungs: dict[int, Box], middle: float, random: np.random.Generator) -> np.ndarray:
    """Thin branching lines out of the middle of the chest over a haze that fades outwards."""
    image, pen = _canvas()
    haze, brush = _canvas()
    for side, (left, top, right, low) in lungs.items():
        start = (middle + side * 22, top + 0.48 * (low - top))
        brush.ellipse(_box(start[0] + side * 12, start[1], (right - left) * 0.45, (low - top) * 0.33), fill=190)
        for _ in range(random.integers(14, 20)):
            angle = random.uniform(-1.35, 1.35)
            length = random.uniform(0.4, 0.95) * (right - left)
            end = (start[0] + side * np.cos(angle) * length, start[1] + np.sin(angle) * length * 1.5)
            pen.line((*start, *end), fill=int(random.integers(120, 255)), width=int(random.integers(2, 5)))
    return random.uniform(0.25, 0.35) * _soft(image, 1.2) + random.uniform(0.15, 0.25) * _soft(haze, 12)


def _clouds(random: np.random.Generator, cells: int) -> np.ndarray:
    """Smooth noise, float32 [299, 299] in 0..1, with `cells` spots across the picture."""
    coarse = Image.fromarray(random.integers(0, 256, (cells, cells), dtype=np.uint8))
    return np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float32) / 255


def _marked(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Every phantom says that it is one, where a radiograph carries its side marker."""
    image = Image.fromarray(pixels)
    place = (int(random.integers(4, 30)), int(random.integers(4, 20)))
    ImageDraw.Draw(image).text(place, "PHANTOM", fill=235, font=ImageFont.load_default_imagefont())
    return np.asarray(image)
