import shutil
from pathlib import Path

import pytest

from contracts.record import Record
from dataset import write_sample
from registry import Registry
from training import options

options.prepare_tensorflow()

IMAGES_PER_CLASS = 60
MODEL = "chest-xray"


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
    from tests.integration.training.small import SMALL
    from training import parameters
    from training.train import train

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parameters, "TRIALS", (SMALL,))
        train(dataset=str(sample), registry=str(place), epochs=8, min_accuracy=0.7, min_recall=0.4, reason="a test")
    registry = Registry.open(str(place), MODEL)
    return registry, registry.record(1)


@pytest.fixture
def copied(trained: tuple[Registry, Record], place: Path, tmp_path: Path) -> Path:
    """Folder of a copy of that registry, to be changed; the key that signs lies beside it."""
    shutil.copytree(place, tmp_path / "copy")
    shutil.copytree(f"{place}.keys", tmp_path / "copy.keys")
    return tmp_path / "copy"
