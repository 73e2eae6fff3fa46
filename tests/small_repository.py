"""A small repository of models whose ./pants is a stand-in, for tests of what a pipeline plans and carries out."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests import forks
from tests.forks import Program

# Of the command `pipeline`, and what it imports when it is called.
forks.imports("tests.pipeline_imports")

# A step notes that it was started, for which model and whether that is checked, and does what a file of its name says;
# one for a model alone comes before one for all.
_PANTS = """#!/usr/bin/env bash
if [[ $1 == peek ]]; then
  echo peek >>"$SCENE/peeked"
  cat "$SCENE/graph"
elif [[ $1 == test || $1 == package ]]; then
  echo "$1" >>"$SCENE/started"
  source "$SCENE/$1"
else
  step=${2##*:}
  echo "$step" >>"$SCENE/started"
  echo "$TRAINYARD_MODEL_NAME:$step:${TRAINYARD_CHECKED:-1}" >>"$SCENE/models"
  own=$SCENE/$step-$TRAINYARD_MODEL_NAME
  if [[ -e $own ]]; then source "$own"; else source "$SCENE/$step"; fi
fi
"""
_LINT = """#!/usr/bin/env bash
echo lint >>"$SCENE/started"
source "$SCENE/lint"
"""
RECORD: dict[str, Any] = {
    "version": 7,
    "state": "candidate",
    "parent": 3,
    "seed": 11,
    "dataset": {"uri": "sample", "fingerprint": "f00d", "images": 9, "statistics": {"mean": 0.5}},
    "code": {"components": {"tensorflow": "2.21"}},
    "metrics": {"test": {"accuracy": 0.9, "per_class": {"a": {"recall": 0.8}, "b": {"recall": 0.95}}}},
    "steps": [{"name": "fit", "started": "s", "ended": "e", "seconds": 1.0}],
}
TRAINED = f"echo '{json.dumps(RECORD)}'"
TESTED = """echo '{"version": 7, "passed": true}'"""


def pipeline(folder: Path, *arguments: str, **variables: str) -> Program:
    """The command in a folder, with these variables beside the machine's own."""
    return Program("pipeline", *arguments, environment={**os.environ, **variables}, folder=folder)


class Yard:
    """With one model, chest-xray, which the file model.py trains; `models` puts others in its place."""

    def __init__(self, folder: Path) -> None:
        self.root, self.scene = folder / "repository", folder / "scene"
        self.root.mkdir(parents=True)
        self.scene.mkdir()
        self._write("pants", _PANTS)
        self._write("scripts/lint", _LINT)
        (self.root / ".gitignore").write_text(".trainyard/\n")
        (self.root / "README.md").write_text("A yard.\n")
        self.models(**{"chest-xray": "model.py"})
        self.does(train=TRAINED, retrain=TRAINED, test_model=TESTED, lint="true", test="true", package="true")
        self.git("init", "-q", "-b", "main")
        self.commit()

    def _write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_text(text)
        (self.root / name).chmod(0o755)

    def models(self, **sources: str) -> None:
        """Lets there be these models, each trained by a file, and retrained by the pointer datasets/NAME.toml."""
        graph: list[dict[str, Any]] = []
        for name, source in sources.items():
            file = self.root / "models" / name.replace("-", "_") / "model.toml"
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                pointer = f'[dataset]\nuri = "datasets/{name}.toml"\n' if name != "chest-xray" else ""
                file.write_text(f'task = "one label"\nfamily = "residual"\n{pointer}')
            for pipeline in ("train", "retrain", "test"):
                tags = [f"trigger:{pipeline}", f"model:{name}"]
                owned = [source] if pipeline == "train" else [f"tests_of_{name}.py"] if pipeline == "test" else []
                address = f"models/{name}:{pipeline}"
                graph.append({"address": address, "target_type": "target", "tags": tags, "sources": owned})
            if not (self.root / source).exists():
                (self.root / source).write_text("")
        (self.scene / "graph").write_text(json.dumps(graph))

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, **changes: str) -> str:
        """A commit of these files' new texts, by names without a suffix; it is returned."""
        for name, text in changes.items():
            (self.root / ("README.md" if name == "readme" else f"{name}.py")).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a commit")
        return self.git("rev-parse", "HEAD")

    def does(self, **steps: str) -> None:
        """What steps do from now on, as lines of Bash; of one model alone where a name ends with it: `train_a`."""
        for step, script in steps.items():
            base = next(
                known
                for known in ("test_model", "retrain", "train", "lint", "test", "package")
                if step.startswith(known)
            )
            (self.scene / (base + step.removeprefix(base).replace("_", "-", 1))).write_text(script + "\n")

    def started(self) -> list[str]:
        """Every step so far."""
        file = self.scene / "started"
        return file.read_text().split() if file.exists() else []

    def carried_out(self) -> list[str]:
        """Every step of a model so far, as MODEL:STEP:CHECKED, and forgets them."""
        file = self.scene / "models"
        found = file.read_text().split() if file.exists() else []
        file.unlink(missing_ok=True)
        return found

    def peeked(self) -> int:
        """How often the build graph was asked for."""
        file = self.scene / "peeked"
        return len(file.read_text().split()) if file.exists() else 0

    def start(self, *arguments: str, **variables: str) -> Program:
        known = {"SCENE": str(self.scene), "TRAINYARD_REQUESTED_BY": "Ada"}
        return pipeline(self.root, *arguments, **(known | variables))

    def call(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=120)
        return process.wait(), out, err

    def run(self) -> int:
        return self.call("run", "--since=", "--no-check")[0]

    def runs(self) -> list[dict[str, Any]]:
        code, out, err = self.call("runs", "list", "--json")
        assert code == 0, err
        found: list[dict[str, Any]] = json.loads(out.splitlines()[-1])
        return found
