"""docs/operations/gke.md, from an empty project to the first prediction, executed in its order on stand-ins.

A step that would stop stops the test: a name that is there already, a namespace, secret or right that is not there yet.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.manifests import ROOT, require_kubectl

HERE = Path(__file__).parent
PAGE = (ROOT / "docs" / "operations" / "gke.md").read_text()
TOOLS = ("gcloud", "terraform", "kubectl", "docker", "curl")


def blocks(page):
    """The commands of sections 1 to 4, as one script."""
    path = page.partition("## 1.")[2].partition("## A further model")[0]
    return re.findall(r"^```\n(.*?)^```$", path, re.S | re.M)


class Yard:
    """A copy of what the commands touch, and the tools' stand-ins."""

    def __init__(self, folder):
        self.folder, self.world = folder / "yard", folder / "world.json"
        self.bin, self.home = folder / "bin", folder / "home"
        for made in (self.folder, self.bin, self.home):
            made.mkdir()
        for part in ("infra/k8s", "infra/terraform", "serving/tensorflow_serving"):
            shutil.copytree(ROOT / part, self.folder / part)
        (self.folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "push-images", self.folder / "scripts")
        for place in (*(self.bin / tool for tool in TOOLS), self.folder / "pants"):
            place.write_text(f"#!{sys.executable}\n{(HERE / 'stand_in.py').read_text()}")
            place.chmod(0o755)
        (self.bin / "less").write_text("#!/bin/sh\nexec cat >/dev/null\n")
        (self.bin / "less").chmod(0o755)
        self.git("init", "-qb", "main")
        self.git("config", "user.name", "T")
        self.git("config", "user.email", "t@example.com")
        self.git("add", "-A")
        self.git("commit", "-qm", "a")

    def git(self, *arguments):
        subprocess.run(["git", *arguments], cwd=self.folder, check=True, capture_output=True)

    def run(self, script):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TRAINYARD_")} | {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "WORLD": str(self.world),
            "KUBECTL": shutil.which("kubectl"),
            "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path),
        }
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=self.folder, env=environment, capture_output=True, text=True
        )


@pytest.fixture
def yard(tmp_path):
    require_kubectl()
    return Yard(tmp_path)


def test_documented_path_ends_with_a_prediction(yard):
    done = yard.run("\n".join(blocks(PAGE)))
    assert done.returncode == 0, done.stderr[-2000:]
    world = json.loads(yard.world.read_text())
    assert world["versions"] == {"1": "production"}
    images = (yard.folder / "infra/k8s/images/kustomization.yaml").read_text()
    assert "unset" not in images and images.count("digest: sha256:") == 6
    pushed = {words[-1].rpartition(":")[2].partition("-")[0] for tool, *words in world["log"] if words[:1] == ["push"]}
    assert "pinned" in pushed  # which the registry's clean-up keeps


GRANT = r"(gcloud storage buckets add-iam-policy-binding .*?\n.*?\n)(.*?)(\./pants run src/python/promote)"
TRAIN = "infra/k8s/jobs/train\n"
# What is done to the page, and what is said then.
FAULTS = {
    "right after the test": (lambda t: re.sub(GRANT, r"\2\1\3", t, flags=re.S), "refuses access"),
    "no public key": (lambda t: re.sub(r"export TRAINYARD_SIGNING_PUBLIC_KEYS=.*\n", "", t), "No key"),
    "two Jobs by create": (
        lambda t: t.replace(
            f"apply -k {TRAIN}", f"create -k {TRAIN}kubectl create -k {TRAIN.replace('train', 'retrain')}"
        ),
        "already exists",
    ),
    "images not pinned": (lambda t: re.sub(r"scripts/push-images .*\n", "", t), "ErrImagePull"),
    "no secret": (
        lambda t: re.sub(r"  kubectl -n trainyard-jobs create secret .*\n", "", t),
        "Secret signing not found",
    ),
    "API not enabled": (lambda t: t.replace(" serviceusage.googleapis.com", ""), "not enabled"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_step_that_would_stop_stops(yard, fault):
    change, said = FAULTS[fault]
    text = "\n".join(blocks(PAGE))
    broken = change(text)
    assert broken != text
    done = yard.run(broken)
    assert done.returncode and said in done.stderr, done.stderr[-2000:]


def test_no_page_makes_two_kinds_of_job_by_create():
    for page in [*ROOT.glob("docs/**/*.md"), *ROOT.glob("infra/k8s/**/*.yaml")]:
        assert "create -k" not in page.read_text(), page
