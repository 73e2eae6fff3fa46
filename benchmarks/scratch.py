"""A scratch repository: a copy of this one, with many more targets around it."""

import shutil
import subprocess
import uuid
from pathlib import Path

AREAS = 100
MODULES = 5
TESTS = 3
# In each area: a target that lists the modules, one that lists the tests, and one for each file.
# All in all, ours among them.
MODELS = 20
TARGETS = AREAS * (MODULES + TESTS + 2)

_BUILD = """python_sources(name="lib", resolve="pytest")

python_tests(name="tests", resolve="pytest")
"""
_TEST = """from extra.{area}.module_{module} import value


def test_value():
    assert value() > {module}
"""


_MODEL = """task = "one label"

[dataset]
uri = "datasets/extra_{number:02}.toml"
"""
_NETWORK = """import keras
from keras import layers


def build(parameters, image, classes):
    return keras.Sequential([keras.Input(image.shape), layers.Flatten(), layers.Dense(classes)])
"""


class ScratchRepository:
    """Made anew, and unlike any before: nothing that Pants keeps from an earlier measurement answers for it."""

    def __init__(self, root: Path, original: Path) -> None:
        self.root = root
        self._nonce = uuid.uuid4().hex
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=original, check=True, capture_output=True, text=True)
        for name in filter(None, listed.stdout.split("\0")):
            if (original / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(original / name, root / name)
        for area in range(AREAS):
            self._write_area(root / "extra" / f"area_{area:03}")
        (root / "extra" / "__init__.py").touch()
        for number in range(MODELS - len(list((root / "models").glob("*/model.toml")))):
            self._write_model(number)
        self.git("init", "-q", "-b", "main")
        self.commit()

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.com", "-c", "commit.gpgsign=false"]
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "benchmark")

    def change_one_file(self, area: int) -> None:
        """A commit that changes a module which others use, and two of the area's tests need."""
        file = self.root / "extra" / f"area_{area:03}" / "module_2.py"
        file.write_text(file.read_text() + f"\n\n# Changed: {uuid.uuid4().hex}\n")
        self.commit()

    def change_an_import(self, area: int) -> None:
        """The same, of what a module imports."""
        file = self.root / "extra" / f"area_{area:03}" / "module_2.py"
        file.write_text(f"from extra.area_{area:03} import module_0 as _\n{file.read_text()}")
        self.commit()

    def change_a_network(self) -> None:
        file = self.root / "models" / "extra_00" / "network.py"
        file.write_text(file.read_text() + f"\n\n# Changed: {uuid.uuid4().hex}\n")
        self.commit()

    def _write_model(self, number: int) -> None:
        folder = self.root / "models" / f"extra_{number:02}"
        folder.mkdir()
        (folder / "BUILD").write_text("model()\n")
        (folder / "model.toml").write_text(_MODEL.format(number=number))
        (folder / "network.py").write_text(_NETWORK)
        (self.root / "datasets" / f"extra_{number:02}.toml").write_text("[sample]\nimages_per_class = 40\nseed = 1\n")

    def _write_area(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "BUILD").write_text(_BUILD)
        (folder / "__init__.py").touch()
        for module in range(MODULES):
            before = f"from extra.{folder.name} import module_{module - 1}\n\n\n" if module else ""
            inner = f"module_{module - 1}.value() + 1" if module else "1"
            text = f"# {self._nonce}\n{before}def value():\n    return {inner}\n"
            (folder / f"module_{module}.py").write_text(text if module else text.replace("\ndef", "\n\n\ndef"))
        for test in range(TESTS):
            module = test * (MODULES - 1) // (TESTS - 1)
            (folder / f"test_{test}.py").write_text(_TEST.format(area=folder.name, module=module))
