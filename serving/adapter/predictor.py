"""From image bytes to classes: what gRPC and REST have in common."""

import asyncio
import contextlib
import math
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import imaging
from contracts.about import About
from serving.adapter import spans
from serving.adapter.alone import Alone
from serving.adapter.backend import Backend, Scores, ServedVersion, StaleVersion, VersionState
from serving.adapter.gathering import Gathering, Predict
from serving.adapter.limits import Limits
from serving.adapter.memory import LARGE, Budget, hand_back
from serving.adapter.refusals import (
    BadImage,
    BadRequest,
    HugeImage,
    Overloaded,
    Refusal,
    TooLarge,
    Unavailable,
    UnknownFormat,
    UnknownVersion,
)
from serving.adapter.stable import RecentVersion
from serving.brightness import brightness
from serving.mailbox import Mailbox

STABLE = "stable"
# What a promotion leaves behind, for a rollback.
PREVIOUS = "previous"
_MAX_LABEL_CHARACTERS = 200
# What is decoded in the event loop for a request that is alone. A PNG of nothing but empty chunks takes longest of what
# was tried, 16 ms; compressed texts would take 112, as 64 KB of them unpack to 55 MB.
_SMALL_BYTES, _SMALL_PIXELS, _TEXTS = 64 * 1024, 128 * 1024, (b"zTXt", b"iTXt")


@dataclass(frozen=True)
class Choice:
    """Which version is to answer: a number, a label, or (neither) the stable one."""

    version: int | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if self.version is not None and self.label is not None:
            raise BadRequest("Choose a version or a version label, not both.")
        if self.version is not None and not 0 < self.version < 2**63:
            raise BadRequest(f"Expected a version of 1 or more. Received: {self.version}.")
        if self.label is not None and not 0 < len(self.label) <= _MAX_LABEL_CHARACTERS:
            raise BadRequest(f"Expected a version label of 1 to {_MAX_LABEL_CHARACTERS} characters.")


@dataclass(frozen=True)
class Answer:
    """What one version says of some images: scores, or why there are none, for each."""

    version: int
    outcomes: list[Scores | Refusal]
    # How bright the images are that have scores, in their order: their mean luma, 0 to 255.
    brightness: tuple[float, ...] = ()


@dataclass(frozen=True)
class Pixels:
    """An image that was decoded by who sends it: bytes of height, width and channels."""

    data: bytes
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Decoded:
    """An image as a version takes it, and how bright it is."""

    pixels: bytes
    brightness: float


@dataclass(frozen=True)
class ServedModel:
    """What is being served at one moment."""

    name: str
    versions: list[VersionState]
    version_labels: dict[str, int]
    labels: tuple[str, ...]
    # What the stable version takes; None without one.
    image: imaging.ImageInput | None
    # What loaded versions tell of themselves, by their numbers.
    about: dict[int, About]


class Predictor:
    """Decodes images and has them classified, by the stable version unless another is chosen."""

    def __init__(self, backend: Backend, limits: Limits) -> None:
        self.model = backend.model
        self.limits = limits
        self.stable = RecentVersion(self._ask_stable)
        self._backend = backend
        self._numbered: dict[int, RecentVersion] = {}
        self._labels: dict[int, tuple[str, ...]] = {}
        # Pillow lets go of the interpreter's lock while it decodes.
        self._threads = ThreadPoolExecutor(max_workers=(os.cpu_count() or 1), thread_name_prefix="decode")
        self._results = Mailbox()
        self._pixels = Budget(limits.max_pixels_at_once)
        self._alone = Alone()
        # The request's own deadline is kept by whoever calls; this one ends work that nobody waits for.
        ask: Predict = partial(backend.predict, timeout=limits.request_timeout)
        self._ask: Predict = (
            Gathering(ask, limits.max_gathered).predict if limits.max_gathered else partial(_alone, ask)
        )

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def classify(self, images: Sequence[bytes | Pixels | Refusal], choice: Choice) -> Answer:
        """Classify `images`, all by the same version; a bad image, or one that is a Refusal already, fails alone.

        Raises:
            Refusal: none of them can be answered.
        """
        with self._alone.here():
            return await self._classify(images, choice)

    async def _classify(self, images: Sequence[bytes | Pixels | Refusal], choice: Choice) -> Answer:
        version = await self._resolve(choice)
        decoded = await self._decode(images, version.image)
        try:
            return await self._predict(version, decoded)
        except StaleVersion:
            # A rollover took the version away between the two calls. Who asked for a number gets that number or none.
            moved = await self._resolve(choice, again=True)
        if moved.image != version.image:
            decoded = await self._decode(images, moved.image)
        try:
            return await self._predict(moved, decoded)
        except StaleVersion:
            raise Unavailable("The model is being replaced right now; try again shortly.") from None

    async def prepared(self, image: bytes | Refusal, choice: Choice) -> tuple[ServedVersion, bytes]:
        """The version that is to answer, and `image` as it takes it; raises what refuses either."""
        version = await self._resolve(choice)
        [decoded] = await self._decode([image], version.image)
        if isinstance(decoded, Refusal):
            raise decoded
        return version, decoded.pixels

    async def ask_alone(self, version: ServedVersion, pictures: Sequence[bytes]) -> list[Scores]:
        """Answers to pictures as `version` takes them, in a call of their own; raises what the backend raises."""
        return await self._backend.predict(version, pictures, self.limits.request_timeout)

    async def describe(self) -> ServedModel:
        """What is being served, asked of the model server now."""
        states, labelled = await asyncio.gather(self._backend.states(), self._labelled())
        stable = labelled.get(STABLE)
        if stable and stable.number not in self._labels:
            # A model server does not tell class names: an answer on a blank image does.
            blank = bytes(math.prod(stable.image.shape))
            try:
                await self._predict(stable, [Decoded(blank, 0.0)])
            except StaleVersion:
                raise Unavailable("The model is being replaced right now; try again shortly.") from None
        known = {state.number for state in states}
        for forgotten in [number for number in self._labels if number not in known]:
            del self._labels[forgotten]
        return ServedModel(
            name=self.model,
            versions=states,
            version_labels={label: version.number for label, version in labelled.items()},
            labels=self._labels.get(stable.number, ()) if stable else (),
            image=stable.image if stable else None,
            about=await self._about(states, labelled.values()),
        )

    async def _about(self, states: Sequence[VersionState], known: Iterable[ServedVersion]) -> dict[int, About]:
        """What the versions that can be asked tell of themselves; `known` are described already."""
        versions = {version.number: version for version in known}
        for state in states:
            if state.state == "AVAILABLE" and state.number not in versions:
                # It may be gone by now, and what it tells is not worth an error.
                with contextlib.suppress(Refusal):
                    versions[state.number] = await self._by_number(state.number, again=False)
        return {number: version.about for number, version in versions.items() if version.about}

    async def _labelled(self) -> dict[str, ServedVersion]:
        async def ask(label: str) -> ServedVersion | None:
            try:
                return await (self.stable.fresh() if label == STABLE else self._backend.by_label(label))
            except (UnknownVersion, _NoStable):
                return None

        found = await asyncio.gather(ask(STABLE), ask(PREVIOUS))
        return {label: version for label, version in zip((STABLE, PREVIOUS), found, strict=True) if version}

    async def _ask_stable(self) -> ServedVersion:
        try:
            return await self._backend.by_label(STABLE)
        except UnknownVersion:
            # Nobody asked for a version by name, so it is not the request that is wrong.
            raise _NoStable(f"Model '{self.model}' has no version labelled '{STABLE}' loaded yet.") from None

    async def _resolve(self, choice: Choice, again: bool = False) -> ServedVersion:
        if choice.version is not None:
            return await self._by_number(choice.version, again)
        if choice.label is not None and choice.label != STABLE:
            return await self._backend.by_label(choice.label)
        return await (self.stable.fresh() if again else self.stable.current())

    async def _by_number(self, number: int, again: bool) -> ServedVersion:
        # Believed no longer than the stable one: a model server that was started anew may have another model there.
        asked = self._numbered.get(number) or RecentVersion(partial(self._backend.by_number, number))
        try:
            version = await (asked.fresh() if again else asked.current())
        except UnknownVersion:
            self._numbered.pop(number, None)
            raise
        self._numbered[number] = asked
        return version

    async def _decode(
        self, images: Sequence[bytes | Pixels | Refusal], wanted: imaging.ImageInput
    ) -> list[Decoded | Refusal]:
        with spans.span("decode"):
            if len(images) == 1:
                return [await self._decode_one(images[0], wanted, single=True)]
            return await asyncio.gather(*(self._decode_one(data, wanted) for data in images))

    async def _decode_one(
        self, data: bytes | Pixels | Refusal, wanted: imaging.ImageInput, single: bool = False
    ) -> Decoded | Refusal:
        if isinstance(data, Refusal):
            return data
        if isinstance(data, Pixels):
            if data.shape != wanted.shape:
                return BadImage(f"Expected pixels of shape {list(wanted.shape)}. Received: {list(data.shape)}.")
            return Decoded(data.data, brightness(data.data, wanted.channels))
        # What claims more pixels than are decoded is refused by its header, which takes none.
        pixels = imaging.area(data, self.limits.image)
        if single and self._alone and _decodes_quickly(data, pixels):
            return _decode(data, wanted, self.limits.image, pixels)
        amount = pixels if pixels <= self.limits.image.max_pixels else 0
        await self._pixels.take(amount)
        decoding = self._threads.submit(_decode, data, wanted, self.limits.image, pixels)
        # A thread can't be stopped: its pixels are under way until it is done, whoever gave up on them.
        decoding.add_done_callback(lambda _: self._results.tell(self._pixels.give, amount))
        return await self._results.over(decoding)

    async def _predict(self, version: ServedVersion, images: Sequence[Decoded | Refusal]) -> Answer:
        good = [image for image in images if not isinstance(image, Refusal)]
        pixels = [image.pixels for image in good]
        scores = iter(await self._ask(version, pixels) if good else ())
        outcomes = [image if isinstance(image, Refusal) else next(scores) for image in images]
        for outcome in outcomes:
            if isinstance(outcome, Scores):
                self._labels[version.number] = outcome.labels
                break
        return Answer(version.number, outcomes, tuple(image.brightness for image in good))


async def _alone(ask: Predict, version: ServedVersion, images: Sequence[bytes]) -> list[Scores]:
    with spans.call(version.number, [spans.wait()]):
        return await ask(version, images)


class _NoStable(Unavailable):
    pass


def _decodes_quickly(data: bytes, pixels: int) -> bool:
    return pixels <= _SMALL_PIXELS and len(data) <= _SMALL_BYTES and not any(text in data for text in _TEXTS)


def _decode(data: bytes, wanted: imaging.ImageInput, limits: imaging.Limits, area: int) -> Decoded | Refusal:
    if len(data) > limits.max_bytes:
        return TooLarge(f"The image has {len(data)} bytes; at most {limits.max_bytes} are accepted.")
    try:
        pixels = imaging.pixels(data, wanted, limits)
        return Decoded(pixels, brightness(pixels, wanted.channels, imaging.filled(data, wanted, limits)))
    except imaging.UnsupportedFormat as error:
        return UnknownFormat(str(error))
    except imaging.ImageTooLarge as error:
        return HugeImage(str(error))
    except imaging.ImageError as error:
        return BadImage(str(error))
    except MemoryError:
        return Overloaded("There is no memory left to decode the image; try again shortly.")
    finally:
        if area > LARGE:
            hand_back()
