"""Runs scenarios of Jenkinsfiles in the Groovy harness: one start of the JVM for all of them."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
JENKINSFILES = ROOT / "infra" / "jenkins"
HARNESS = Path(__file__).parent / "harness"
TOKEN = "whoever knows this may ask for a model"
REPOSITORY_URL = "git@example.com:us/trainyard.git"
WHY_NOT = "groovy or a Java runtime is not installed (Debian: apt-get install groovy); no Jenkinsfile was executed"


@dataclass
class Result:
    """What became of a scenario; `calls` are those of ./pants, as (step, arguments)."""

    account: dict[str, Any]
    calls: list[tuple[str, list[str]]] = field(default_factory=list)
    # What each call was told of the serving pods.
    pods: list[str | None] = field(default_factory=list)
    # And of the registry and the key.
    told: list[dict[str, str | None]] = field(default_factory=list)

    def __getattr__(self, name):
        return self.account[name]

    @property
    def calls_made(self):
        """Of a script of the Job DSL."""
        return self.account["calls"]

    @property
    def steps(self):
        return [step for step, _ in self.calls]

    def call(self, step):
        (argv,) = [argv for found, argv in self.calls if found == step]
        return argv

    def agent_of(self, label):
        """The kind of agent that a shell of that label ran on."""
        (command,) = [command for command in self.account["commands"] if command["label"] == label]
        return command["agent"]

    def stage(self, name):
        (stage,) = [stage for stage in self.account["stages"] if stage["name"] == name]
        return stage

    @property
    def ran(self):
        return [stage["name"] for stage in self.account["stages"] if stage["result"] != "SKIPPED"]


class Scenarios:
    def __init__(self, folder: Path):
        self.folder = folder
        self._all: list[dict[str, Any]] = []
        self.repository = folder / "repository"
        self.repository.mkdir()
        shutil.copy(Path(__file__).parent / "fake_pants.py", self.repository / "fake_pants.py")
        pants = self.repository / "pants"
        pants.write_text(f'#!/bin/sh\nexec {sys.executable} fake_pants.py "$@"\n')
        pants.chmod(0o755)
        lint = self.repository / "scripts" / "lint"
        lint.parent.mkdir()
        lint.write_text("#!/bin/sh\n")
        lint.chmod(0o755)
        (self.repository / ".gitignore").write_text(".trainyard/\n/dist/\n")
        self._git("init", "-qb", "main")
        self.commit("`touch pwned`$(touch pwned)")

    def commit(self, message):
        self._git("add", "-A")
        self._git("commit", "-qm", message)
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments):
        identity = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.repository, check=True, capture_output=True, text=True).stdout.strip()

    def add_jobs(self, name, script, models=()):
        """A script of the Job DSL, run in a workspace whose models.txt names `models`, by a controller with secrets."""
        own = self.folder / name
        (own / "secrets").mkdir(parents=True)
        (own / "secrets" / "REQUEST_TOKEN").write_text(f"{TOKEN}\n")
        script = script.replace("/run/secrets/", f"{own}/secrets/")
        (own / "models.txt").write_text("".join(f"{model}\n" for model in models))
        self._all.append({"name": name, "dsl": script, "folder": str(own)})

    def add(self, name, jenkinsfile="Jenkinsfile", *, answers=None, env=None, **given):
        """`jenkinsfile` is one of ours by name, or a text.

        Scenarios of one `job` are its builds, side by side; one with `begins` starts once that file is there. `made`
        names the jobs (add_jobs) among which the build's own is, `of` which one.
        """
        own = self.folder / name
        (own / "fake").mkdir(parents=True)
        (own / "fake" / "answers.json").write_text(json.dumps(answers or {}))
        path = JENKINSFILES / jenkinsfile
        if "\n" in jenkinsfile:
            path = own / "Jenkinsfile"
            path.write_text(jenkinsfile)
        variables = {
            "FAKE": str(own / "fake"),
            "ENGINEERS": "engineers@example.com",
            "TRAINYARD_REGISTRY_URI": str(own / "registry"),
            **(env or {}),
        }
        self._all.append(
            {
                "name": name,
                "jenkinsfile": str(path),
                "folder": str(own),
                "repository": str(self.repository),
                "env": variables,
                **given,
            }
        )

    def run(self) -> dict[str, Result]:
        java = shutil.which("java")
        if java is None or shutil.which("groovy") is None:
            pytest.skip(WHY_NOT)
        (self.folder / "scenarios.json").write_text(json.dumps(self._all))
        # Debian's groovy looks for a default that is not there where Java came without it.
        home = Path(java).resolve().parents[1]
        command = ["groovy", "-cp", HARNESS, HARNESS / "Harness.groovy", "scenarios.json", "results.json"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PEX_", "TRAINYARD_"))}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment | {"JAVA_HOME": str(home), "REPOSITORY_URL": REPOSITORY_URL},
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        accounts = json.loads((self.folder / "results.json").read_text())
        return {name: Result(account, *self._calls(name)) for name, account in accounts.items()}

    def _calls(self, name):
        log = self.folder / name / "fake" / "calls.jsonl"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        calls = [(line["step"], line["argv"]) for line in lines]
        return calls, [line.get("pods") for line in lines], [line.get("told", {}) for line in lines]
