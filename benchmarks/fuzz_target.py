"""What atheris calls again and again, in the environment that fuzzing.py made: its interpreter runs this file.

`python fuzz_target.py decoder|bodies` and libFuzzer's own arguments.
"""

import sys
from collections.abc import Callable

import atheris

with atheris.instrument_imports(include=["imaging", "serving"]):
    import imaging
    from imaging import ImageInput, decode
    from serving.adapter import v2_json
    from serving.adapter.forms import read_form
    from serving.adapter.gzipped import unpacked
    from serving.adapter.json_body import read_json
    from serving.adapter.refusals import Refusal
    from serving.adapter.v2_tensors import images_of

# Small, so that an input that claims much costs little and is refused by the same lines.
LIMITS = imaging.Limits(max_bytes=1 << 20, max_pixels=1 << 16, max_side=1024, max_parts=256)
WANTED = [
    ImageInput(size=8),
    ImageInput(size=5, channels=3, oblong="pad"),
    ImageInput(size=7, oblong="crop", white=4095),
]
MOST_IMAGES = 4


def decoder(data: bytes) -> None:
    """Any bytes are pixels of the right number, or an ImageError; and the header's word on their size is kept."""
    wanted = WANTED[len(data) % len(WANTED)]
    imaging.area(data, LIMITS)
    try:
        pixels = decode.pixels(data, wanted, LIMITS)
        share = decode.filled(data, wanted, LIMITS)
    except imaging.ImageError as error:
        if not str(error).endswith("."):
            raise ValueError(f"no sentence: {error}") from None
        return
    if len(pixels) != wanted.size**2 * wanted.channels or not 0 < share <= 1:
        raise ValueError("pixels of another shape")


def bodies(data: bytes) -> None:
    """Any body is images, or a Refusal. The first byte chooses the reader."""
    readers: list[Callable[[bytes], object]] = [
        lambda body: read_form("multipart/form-data; boundary=b", body, MOST_IMAGES),
        lambda body: read_json(body, MOST_IMAGES),
        lambda body: unpacked(body, LIMITS.max_bytes),
        lambda body: images_of(v2_json.read(body, None)[1], MOST_IMAGES),
        lambda body: images_of(v2_json.read(body[1:], str(body[0]) if body else "")[1], MOST_IMAGES),
    ]
    if data:
        try:
            readers[data[0] % len(readers)](data[1:])
        except Refusal as refusal:
            if refusal.status >= 500:
                raise ValueError(f"told as our mistake: {refusal}") from None


def main() -> None:
    target = {"decoder": decoder, "bodies": bodies}[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
