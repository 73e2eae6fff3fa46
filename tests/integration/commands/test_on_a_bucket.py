"""The commands on a registry in a bucket, one after the other, as a user calls them."""

import base64
import email.policy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataset import write_sample
from imaging.array import encode_png
from tests import buckets, hostile
from tests.registries import MODEL, keys_in
from tests.storage import Place
from training import export


def call(folder: Path, module: str, *arguments: str) -> Any:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TRAINYARD_MAIL_OUTBOX": str(folder / "outbox"),
        "TRAINYARD_SIGNING_KEY": str(keys_in(folder).private),
    }
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with buckets.emulator() as address:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        yield Place("bucket", tmp_path)


def test_train_test_promote_and_gc_work_on_a_bucket(place: Place, tmp_path: Path) -> None:
    keys_in(tmp_path).require()  # for a bucket no command makes one
    registry = place.make("one")
    here = ["--registry", place.uri("one"), "--json"]
    write_sample(tmp_path / "sample", images_per_class=12, seed=3)
    dataset = ["--dataset", str(tmp_path / "sample")]

    record = call(
        tmp_path, "training.train", *here, *dataset, "--epochs", "1", "--min-accuracy", "0", "--min-recall", "0"
    )
    assert (record["version"], record["state"]) == (1, "candidate")
    assert not registry.verify(1)

    # One epoch makes no model that passes the tests; this one does.
    hostile.write_healthy(tmp_path / "healthy")
    pixels, _ = hostile.phantoms(1, seed=7)
    answers = export.answers(tmp_path / "healthy", pixels)
    registry.create(
        "train",
        labels=hostile.LABELS,
        image_size=hostile.IMAGE_SIZE,
        signature={"inputs": {"pixels": {}}, "outputs": {"probabilities": {}, "labels": {}}},
        golden=[
            {"image": base64.b64encode(encode_png(image)).decode(), "probabilities": answer.tolist()}
            for image, answer in zip(pixels, answers, strict=True)
        ],
    )
    registry.publish(2, tmp_path / "healthy")
    verdict = call(tmp_path, "testing", *here, *dataset)
    assert (verdict["version"], verdict["passed"]) == (2, True)
    assert verdict["report"] == f"{place.uri('one')}/{MODEL}/reports/2/test.html"

    result = call(tmp_path, "promote", "run", *here, "--yes", "--approver", "ada")
    assert (result["promoted"], result["previous"]) == (2, None)
    assert registry.serving().stable == 2 and not registry.verify(2, "production")
    config = registry.store.read("production/models.config")[0].decode()
    assert f'base_path: "{place.uri("one")}/{MODEL}/production"' in config
    [mail] = (tmp_path / "outbox").iterdir()
    text = email.message_from_bytes(mail.read_bytes(), policy=email.policy.default).get_body(("plain",)).get_content()
    assert f"--registry {place.uri('one')}" in text

    assert call(tmp_path, "registry", "gc", *here, "--keep", "0", "--yes")["removed"] == [1]
    assert registry.areas(1) == [] and registry.areas(2) == ["testing", "production"]
