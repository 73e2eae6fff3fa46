"""The command `drift` against an adapter that has answered, as its own process tells."""

import json
import os
import subprocess
import sys
from email import message_from_bytes, policy

import pytest

from serving.client import Client
from testkit.registries import IMAGE_SIZE, open_registry, promotable
from tests.integration.adapter.processes import adapter_process
from tests.unit.adapter.fakes import LABELS, FakeModelServer, FakeVersion
from tests.unit.adapter.images import gray
from tests.unit.promote.helpers import promote

OK, USAGE, GATE, DATA, INFRASTRUCTURE = 0, 2, 3, 4, 6
# The stand-in for a model takes a picture for the first class with the probability of its brightness.
BRIGHT, DARK = 217, 20


@pytest.fixture
def registry(tmp_path):
    """Version 1 in production: tested on 60 bright and 40 dark pictures, and right in seven of ten."""
    registry = open_registry(tmp_path)
    one = {"precision": 0.7, "recall": 0.7, "f1": 0.7, "support": 33}
    tested_on = {
        "accuracy": 0.7, "images": 100, "per_class": dict.fromkeys(LABELS, one),
        "confusion": [[45, 15, 0], [15, 25, 0], [0, 0, 0]],
    }  # fmt: skip
    brightness = {"COVID": {"mean": BRIGHT, "deviation": 5.0}, "Normal": {"mean": DARK, "deviation": 5.0}}
    dataset = {
        "uri": "x", "fingerprint": "f" * 64, "images": 500, "classes": {"COVID": 300, "Normal": 200},
        "statistics": {"brightness": brightness},
    }  # fmt: skip
    promotable(registry, tmp_path, labels=list(LABELS), metrics={"test": tested_on}, dataset=dataset)
    promote(registry, 1)
    return registry


@pytest.fixture
def adapter():
    model_server = FakeModelServer({1: FakeVersion(image_size=IMAGE_SIZE)})
    with model_server.serving() as server, adapter_process(f"127.0.0.1:{server.port}") as process:
        yield process


def ask(adapter, bright, dark):
    with Client(adapter.grpc) as client:
        for level, times in ((BRIGHT, bright), (DARK, dark)):
            for _ in range(times):
                client.classify(gray(level))


def drift(folder, *arguments):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path),
        "TRAINYARD_MAIL_OUTBOX": str(folder / "mails"),
        "TRAINYARD_DRIFT_MIN_IMAGES": "100",
    }
    command = [sys.executable, "-m", "monitoring.drift", "--registry", str(folder / "registry"), "--json", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    return done, json.loads(done.stdout.splitlines()[-1]) if done.stdout else None


def mails(folder):
    return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in (folder / "mails").glob("*.eml")]


def test_requests_like_the_held_out_images_are_no_drift_and_others_since_then_are(registry, adapter, tmp_path):
    metrics = ["--metrics", adapter.http.removeprefix("http://")]
    ask(adapter, bright=30, dark=20)
    done, told = drift(tmp_path, *metrics)
    assert done.returncode == DATA and told["drift"] is None and "only 50 images" in done.stderr

    ask(adapter, bright=42, dark=28)
    done, told = drift(tmp_path, *metrics, "--since-last", "--output", "first.json")
    assert done.returncode == OK, done.stderr
    assert (told["version"], told["drift"], told["images"], told["reasons"]) == (1, False, 120, [])
    assert told["served"]["labels"] == {"COVID": 72, "Normal": 48}
    assert json.loads((tmp_path / "first.json").read_text()) == told
    assert "No drift" in done.stderr and not mails(tmp_path)

    ask(adapter, bright=0, dark=60)
    done, told = drift(tmp_path, *metrics, "--since-last")
    assert (done.returncode, told["images"]) == (DATA, 60), done.stderr

    ask(adapter, bright=0, dark=40)  # with the 60 before, as too few were not used up
    done, told = drift(tmp_path, *metrics, "--since-last")
    assert done.returncode == GATE, done.stderr
    assert told["served"]["labels"] == {"Normal": 100}
    assert [reason.split()[0] for reason in told["reasons"]] == ["Predicted", "Mean", "Mean"]
    (mail,) = mails(tmp_path)
    text = mail.get_body(("plain",)).get_content()
    assert mail["Subject"] == "chest-xray 1: drift"
    assert all(reason in " ".join(text.split()) for reason in told["reasons"])
    # What it says of looking again can be pasted as it stands.
    assert f"drift -- {' '.join(metrics)}" in text


def test_folder_of_images_is_compared_like_requests(registry, adapter, tmp_path):
    folder = tmp_path / "recent"
    folder.mkdir()
    for number in range(100):
        (folder / f"{number}.png").write_bytes(gray(BRIGHT if number < 60 else DARK))
    (folder / "broken.png").write_bytes(b"no picture")
    done, told = drift(tmp_path, "--images", str(folder), "--address", adapter.grpc)
    assert done.returncode == OK, done.stderr
    assert (told["drift"], told["images"], told["served"]["labels"]) == (False, 100, {"COVID": 60, "Normal": 40})
    for number in range(60):
        (folder / f"{number}.png").write_bytes(gray(DARK))
    done, told = drift(tmp_path, "--images", str(folder), "--address", adapter.grpc)
    assert done.returncode == GATE and told["drift"] is True


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], USAGE, "--metrics HOST:PORT"),
        (["--metrics", "127.0.0.1:1"], INFRASTRUCTURE, "No adapter answers at 127.0.0.1:1"),
        (["--metrics", "GRPC"], USAGE, "is not an adapter"),
        (["--metrics", "HTTP", "--images", "."], USAGE, "Choose --metrics"),
    ],
)
def test_what_can_not_be_compared_is_told_in_a_sentence(registry, adapter, tmp_path, arguments, code, told):
    places = {"HTTP": adapter.http.removeprefix("http://"), "GRPC": adapter.grpc}
    done, result = drift(tmp_path, *[places.get(argument, argument) for argument in arguments])
    assert (done.returncode, result) == (code, None), done.stderr
    assert told in " ".join(done.stderr.split()) and "Traceback" not in done.stderr


def test_nothing_in_production_is_nothing_to_compare_with(tmp_path):
    open_registry(tmp_path)
    done, _ = drift(tmp_path, "--metrics", "127.0.0.1:1")
    assert done.returncode == USAGE and "promote one first" in done.stderr


def test_the_name_that_jobs_know_it_by_goes_on_working():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path)}
    command = [sys.executable, "-m", "testing.drift", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert shown.returncode == 0 and "--since-last" in shown.stdout
