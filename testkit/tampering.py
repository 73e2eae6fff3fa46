"""Changes to the files of published versions, and whether each is found before anything loads them."""

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cli import DataRefused
from registry import Keys, Registry
from registry.manifest import printable
from testkit.mutations import KINDS

CONTENT = {
    "saved_model.pb": b"graph " * 20,
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": bytes(range(256)),
    "assets.extra/tf_serving_warmup_requests": b"warm-up",
}


@dataclass(frozen=True)
class Found:
    kind: str
    # The file that was changed, and how the refusal names files of its kind.
    name: str
    # What was said; "" where nothing was found.
    said: str
    # Whether anything was copied for a server all the same.
    copied: bool

    @property
    def holds(self) -> bool:
        return printable(self.name) in self.said and not self.copied


def mutate(folder: Path, mutations: int, seed: int) -> Iterator[Found]:
    """Each on fresh files: of a candidate that is about to be tested, or of a version that is about to be served."""
    registry = Registry.open(str(folder / "registry"), "m", Keys.of("", [], str(folder / "registry")))
    built = folder / "built"
    for name, content in CONTENT.items():
        (built / name).parent.mkdir(parents=True, exist_ok=True)
        (built / name).write_bytes(content)
    for _ in range(2):
        registry.publish(registry.create("train").version, built)
    registry.copy_to_production(2)
    draw, kinds = random.Random(seed), list(KINDS)
    for number in range(mutations):
        kind = kinds[number % len(kinds)]
        version, area = ((1, "testing"), (2, "production"))[draw.randrange(2)]
        files = Path(registry.store.uri(f"{area}/{version}"))
        name = KINDS[kind](draw, files)
        copy = folder / "copy"
        said = ""
        try:
            # What the clone and a rollback do before a server hears of the version.
            registry.fetch(version, copy) if area == "testing" else registry.copy_to_production(version)
        except DataRefused as error:
            said = str(error)
        yield Found(kind, name, said, copied=(copy / str(version)).exists())
        for path in (files, copy):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(built, files)
