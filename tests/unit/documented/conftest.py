import copy
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.manifests import require_kubectl
from tests.unit.documented.yard import SECTIONS, Yard, gke


@pytest.fixture(scope="session")
def walk(tmp_path_factory: pytest.TempPathFactory) -> list[Yard]:
    """gke.md section by section: a yard before the first, and one after each. Not to be changed by tests."""
    require_kubectl()
    yards = [Yard(tmp_path_factory.mktemp("walk"))]
    for number, section in enumerate(SECTIONS):
        yards.append(copied(yards[-1], tmp_path_factory.mktemp("walk") / str(number)))
        done = yards[-1].run(gke(section))
        assert done.returncode == 0, done.stderr[-2000:]
    return yards


@pytest.fixture
def after(walk: list[Yard], tmp_path: Path) -> Callable[[int], Yard]:
    """A copy of the yard in which so many sections of gke.md have been followed."""
    return lambda sections: copied(walk[sections], tmp_path / "copy")


def copied(yard: Yard, folder: Path) -> Yard:
    shutil.copytree(yard.folder.parent, folder, symlinks=True)
    made = copy.copy(yard)
    made.folder, made.world, made.bin, made.home = (
        folder / place.name for place in (yard.folder, yard.world, yard.bin, yard.home)
    )
    return made
