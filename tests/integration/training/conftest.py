import os
import shutil
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import pytest

from contracts.record import Record
from dataset import write_sample
from registry import Registry
from tests.integration.training.yards import WEAK, write_yard
from training.commands.tensorflow import prepare_tensorflow

prepare_tensorflow()

IMAGES_PER_CLASS = 60
EPOCHS = 5
MODEL = "chest-xray"


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_yard(tmp_path_factory.mktemp("yard"), weak=WEAK)


@pytest.fixture(scope="session", autouse=True)
def in_yard(yard: Path) -> Iterator[None]:
    """Commands find the models of the folder they are called in."""
    before = Path.cwd()
    os.chdir(yard)
    yield
    os.chdir(before)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, IMAGES_PER_CLASS, seed=1)
    return folder


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the registry that `trained` fills."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="session")
def trained(sample: Path, place: Path) -> tuple[Registry, Record]:
    """A registry with one candidate of a small network, made by the command. Not to be changed by tests."""
    from training.train import train

    train(dataset=str(sample), registry=str(place), epochs=EPOCHS, min_accuracy=0.7, min_recall=0.4, reason="a test")
    registry = Registry.open(str(place), MODEL)
    return registry, registry.record(1)


@pytest.fixture(scope="session")
def retrained(
    trained: tuple[Registry, Record], place: Path, sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Record, str]:
    """The record of `trained` trained on, in a copy of that registry, by another share of test images; and what the
    command said."""
    from training.retrain import retrain

    copy = tmp_path_factory.mktemp("retrained") / "registry"
    shutil.copytree(place, copy)
    shutil.copytree(f"{place}.keys", f"{copy}.keys")
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(StringIO()) as said:
        patch.setenv("TRAINYARD_DATASET_TEST_SHARE", "0.4")
        retrain(dataset=str(sample), registry=str(copy), epochs=1, min_accuracy=0.0, min_recall=0.0)
    return Registry.open(str(copy), MODEL).record(2), said.getvalue()


@pytest.fixture
def copied(trained: tuple[Registry, Record], place: Path, tmp_path: Path) -> Path:
    """Folder of a copy of that registry, to be changed; the key that signs lies beside it."""
    shutil.copytree(place, tmp_path / "copy")
    shutil.copytree(f"{place}.keys", tmp_path / "copy.keys")
    return tmp_path / "copy"
