"""Our commands as a user calls them, but forked, and a model that passes the tests without being trained."""

import base64
import json
import os
from pathlib import Path
from typing import Any

from imaging.array import encode_png
from registry import Registry
from testkit.registries import keys_in
from tests import forks, hostile, warm_server
from tests.forks import Program

# Of those that train too.
forks.imports("tests.warm_imports")


def call(folder: Path, module: str, *arguments: str) -> Any:
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TRAINYARD_MAIL_OUTBOX": str(folder / "outbox"),
        "TRAINYARD_SIGNING_KEY": str(keys_in(folder).private),
    }
    done = Program(module, *arguments, environment=environment, folder=folder, before=warm_server.within).ended(300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def publish_healthy(registry: Registry, folder: Path) -> int:
    """The version of a model, written to `folder`, that tells the sample's classes apart."""
    from training import export

    hostile.write_healthy(folder)
    pixels, _ = hostile.phantoms(1, seed=7)
    export.complete(folder, registry.model, pixels)
    answers = export.answers(folder, pixels)
    record = registry.create(
        "train",
        labels=hostile.LABELS,
        image_size=hostile.IMAGE_SIZE,
        signature={"inputs": {"pixels": {}}, "outputs": {"probabilities": {}, "labels": {}}},
        golden=[
            {"image": base64.b64encode(encode_png(image)).decode(), "probabilities": answer.tolist()}
            for image, answer in zip(pixels, answers, strict=True)
        ],
    )
    registry.publish(record.version, folder)
    return record.version
