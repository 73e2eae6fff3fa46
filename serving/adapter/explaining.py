"""Explanations: what of a picture an answer rests on, told one at a time, with whatever classification leaves."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from serving.adapter import occlusion
from serving.adapter.admission import Admission
from serving.adapter.backend import Scores, ServedVersion, StaleVersion
from serving.adapter.limits import Limits
from serving.adapter.predictor import Choice, Predictor
from serving.adapter.refusals import BadRequest, ExplanationBusy, ExplanationsOff, Refusal, Unavailable

# Masked pictures in one call: a classification that comes meanwhile waits for no more of them.
_AT_ONCE = 8
_LOOK = 0.005  # seconds between two looks at whether anything is being classified


@dataclass(frozen=True)
class Explanation:
    """How the probability of the most probable class changes where the picture is covered."""

    version: int
    label: str
    probability: float
    # By row and column of the square that the model sees: what is taken from the probability.
    falls: list[list[float]]
    # That square, as PNG.
    picture: bytes
    # Images that the model was asked about.
    images: int


class Explainer:
    """Makes explanations, if `limits` allow any."""

    def __init__(self, predictor: Predictor, admission: Admission, limits: Limits) -> None:
        self._predictor, self._admission, self._limits = predictor, admission, limits
        self._free = limits.max_explanations

    def check(self) -> None:
        """
        Raises:
            ExplanationsOff: none are made here.
            ExplanationBusy: no further one is made now.
        """
        if not self._limits.max_explanations:
            raise ExplanationsOff
        if not self._free:
            raise ExplanationBusy("Another explanation is being made; try again shortly.")

    async def explain(
        self,
        image: bytes | Refusal,
        choice: Choice,
        charge: Callable[[int], None],
        gone: Callable[[], Awaitable[bool]],
    ) -> Explanation:
        """Explains the answer to one image; `charge` is told of images before they are asked, `gone` ends it early.

        Raises:
            Refusal: of the image, or since no explanation can be made now.
        """
        self.check()
        self._free -= 1
        try:
            async with asyncio.timeout(self._limits.request_timeout):
                return await self._explain(image, choice, charge, gone)
        except TimeoutError:
            raise ExplanationBusy(
                "The model has no time for an explanation now, as classification comes first; try again later."
            ) from None
        except StaleVersion:
            raise Unavailable("The model is being replaced right now; try again shortly.") from None
        finally:
            self._free += 1

    async def _explain(
        self,
        image: bytes | Refusal,
        choice: Choice,
        charge: Callable[[int], None],
        gone: Callable[[], Awaitable[bool]],
    ) -> Explanation:
        charge(1)
        version, pixels = await self._predictor.prepared(image, choice)
        size, channels = version.image.size, version.image.channels
        [whole] = await self._ask(version, [pixels], gone)
        label, probability = whole.ranked()[0]
        masks = occlusion.cost(size) - 1
        charge(masks)
        parts: list[float] = []
        while len(parts) < masks:
            batch = range(len(parts), min(len(parts) + _AT_ONCE, masks))
            pictures = [occlusion.covered(pixels, size, channels, cell) for cell in batch]
            scores = await self._ask(version, pictures, gone)
            parts += [dict(zip(one.labels, one.probabilities, strict=True))[label] for one in scores]
        falls = occlusion.falls(size, probability, parts)
        picture = await asyncio.to_thread(_png, pixels, size, channels)
        return Explanation(version.number, label, probability, falls, picture, 1 + masks)

    async def _ask(
        self, version: ServedVersion, pictures: Sequence[bytes], gone: Callable[[], Awaitable[bool]]
    ) -> list[Scores]:
        """Once nothing is being classified. Not with what is gathered: classification would wait for it there."""
        while self._admission.in_flight:
            await asyncio.sleep(_LOOK)
        if await gone():
            raise BadRequest("The connection was closed before the explanation was made.")
        try:
            return await self._predictor.ask_alone(version, pictures)
        except StaleVersion:
            if len(pictures) == 1:
                raise
        # A model server may take fewer at once, which it tells as it does of a version that went away.
        return [(await self._predictor.ask_alone(version, [one]))[0] for one in pictures]


def _png(pixels: bytes, size: int, channels: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.frombytes("L" if channels == 1 else "RGB", (size, size), pixels).save(file, "PNG")
    return file.getvalue()
