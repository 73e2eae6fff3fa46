"""scripts/roll-out on stand-ins: what is served afterwards, whichever step fails."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.manifests import ROOT

# kubectl, ./pants and scripts/push-images, by the name that each is called by.
STAND_IN = f"""#!{sys.executable}
import json, os, pathlib, sys
place = pathlib.Path(os.environ["WORLD"])
world, me = json.loads(place.read_text()), pathlib.Path(sys.argv[0]).name
words = sys.argv[3:] if me == "kubectl" else sys.argv[1:]
step = me if me != "kubectl" else " ".join(words[:2]) if words[0] == "rollout" else words[0]
if words[1:2] == ["src/python/registry"]:
    step = words[3]
images = pathlib.Path("infra/k8s/images/kustomization.yaml")
def end(code=0):
    place.write_text(json.dumps(world))
    sys.exit(code)
world["log"].append(step)
if me == "pants":
    world["asked"] = words
if me == "push-images":
    images.write_text("new")
elif step == "sign-images":
    pathlib.Path(f"{{images}}.sigstore.json").touch()
elif step == "verify-images" and not pathlib.Path(f"{{images}}.sigstore.json").exists():
    end(4)
elif step == "kustomize":
    print(world["manifests"])
elif step == "get" and words[1] == "secret":
    if world["secret"] != "there":
        print(world["secret"], file=sys.stderr)
        end(1)
elif step == "get" and words[1] == "deployments":
    print("\\n".join(f"deployment.apps/{{name}}" for name in world["runs"]))
elif step == "get":
    print(len(world["runs"][words[1].rpartition("/")[2]]))
elif step == "apply":
    name = "serving" if words[2].endswith("production") else pathlib.Path(words[2]).name + "-serving"
    if world["runs"][name][-1] != images.read_text():
        world["runs"][name].append(images.read_text())
elif step == "rollout undo":
    runs, revision = world["runs"][words[2].rpartition("/")[2]], int(words[3].partition("=")[2])
    if world["fails"] != step and revision != len(runs):  # as the real one: the template of then, as a new revision
        runs.append(runs[revision - 1])
if world["fails"] == step and not (step == "rollout status" and "rollout undo" in world["log"]):
    print(f"{{step}} fails", file=sys.stderr)
    end(1)
if world["stops"] == step:
    os.kill(os.getppid(), 15)
end()
"""


class Yard:
    def __init__(self, folder: Path) -> None:
        self.folder, self.world, self.said = folder / "yard", folder / "world.json", ""
        for made in (self.folder / "scripts", self.folder / "infra" / "k8s" / "images", folder / "bin"):
            made.mkdir(parents=True)
        shutil.copy(ROOT / "scripts" / "roll-out", self.folder / "scripts")
        (self.folder / "infra/k8s/images/kustomization.yaml").write_text("old")
        (self.folder / "xray.png").touch()
        for place in (folder / "bin" / "kubectl", self.folder / "pants", self.folder / "scripts" / "push-images"):
            place.write_text(STAND_IN)
            place.chmod(0o755)
        author = ("config user.name T", "config user.email t@example.com")
        for command in ("init -qb main", *author, "add -A", "commit -qm a"):
            subprocess.run(["git", *command.split()], cwd=self.folder, check=True, capture_output=True)

    def call(
        self,
        *arguments: str,
        fails: str = "",
        stops: str = "",
        runs: tuple[str, ...] = ("serving", "digits-serving"),
        manifests: str = "",
        secret: str = "there",
        **variables: str,
    ) -> int:
        world = {"runs": {name: ["older", "old"] for name in runs}, "log": [], "fails": fails, "stops": stops}
        world |= {"manifests": manifests, "secret": secret}
        self.world.write_text(json.dumps(world))
        path = f"{self.folder.parent / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            [
                "scripts/roll-out",
                *(arguments or ("registry/trainyard", "abc")),
                "xray.png",
                "classifier.example.com:443",
            ],
            cwd=self.folder,
            env={**os.environ, "PATH": path, "WORLD": str(self.world), **variables},
            capture_output=True,
            timeout=60,
        )
        self.said = done.stderr.decode()
        return done.returncode

    @property
    def now(self) -> dict[str, Any]:
        return dict(json.loads(self.world.read_text()))

    @property
    def done(self) -> list[str]:
        """The steps, without those that only look."""
        return [step for step in self.now["log"] if step not in ("get", "kustomize")]

    def serves(self) -> set[str]:
        return {revisions[-1] for revisions in self.now["runs"].values()}

    def images(self) -> str:
        return (self.folder / "infra/k8s/images/kustomization.yaml").read_text()


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def test_every_models_programs_are_new_and_were_asked_last(yard: Yard) -> None:
    assert yard.call() == 0
    assert (yard.serves(), yard.images()) == ({"new"}, "new")
    assert yard.done == [
        "push-images", "apply", "apply", "rollout status", "rollout status", "pants",
    ]  # fmt: skip


@pytest.mark.parametrize("step", ["push-images", "apply", "rollout status", "pants"])
def test_whatever_fails_all_go_back_to_what_ran_before(yard: Yard, step: str) -> None:
    assert yard.call(fails=step) == 6
    # A Deployment that had not been changed is not taken to the revision before.
    assert (yard.serves(), yard.images()) == ({"old"}, "old")


@pytest.mark.parametrize("step", ["apply", "rollout status"])
def test_who_stops_it_leaves_nothing_half_way(yard: Yard, step: str) -> None:
    assert yard.call(stops=step) == 6
    assert (yard.serves(), yard.images()) == ({"old"}, "old")


def test_what_did_not_go_back_is_told(yard: Yard) -> None:
    assert yard.call(fails="rollout undo", stops="pants") == 6
    assert yard.serves() == {"new"} and "Not all went back" in yard.said


def test_nothing_is_begun_with_changes_that_are_no_commit_or_where_nothing_serves(yard: Yard) -> None:
    assert yard.call(runs=()) == 2
    (yard.folder / "xray.png").write_text("another")
    assert yard.call() == 2
    assert yard.now["log"] == []


WANT_TOKENS = "  secret:\n    secretName: adapter-tokens\n"
NOT_THERE = 'Error from server (NotFound): secrets "adapter-tokens" not found'


def test_where_adapters_want_tokens_nothing_is_begun_without_one(yard: Yard) -> None:
    for problem, told in (
        ({}, "TOKEN_FILE"),
        ({"secret": NOT_THERE, "TOKEN_FILE": "token"}, "no Secret adapter-tokens"),
    ):
        assert yard.call(manifests=WANT_TOKENS, **problem) == 2
        assert told in yard.said and yard.done == [] and yard.serves() == {"old"}
    assert yard.call(manifests=WANT_TOKENS, TOKEN_FILE="token") == 0
    assert yard.now["asked"][-2:] == ["--token-file", "token"]


def test_who_may_read_no_secret_rolls_out_all_the_same(yard: Yard) -> None:
    """Jenkins' agent; if the Secret is missing it goes back after TIMEOUT."""
    forbidden = 'Error from server (Forbidden): secrets "adapter-tokens" is forbidden'
    assert yard.call(manifests=WANT_TOKENS, secret=forbidden, TOKEN_FILE="token") == 0


KEYS = {"TRAINYARD_IMAGES_KEY": "images.pem", "TRAINYARD_IMAGES_PUBLIC_KEYS": "keys"}


def test_with_keys_the_list_is_signed_and_checked_before_anything_is_applied(yard: Yard) -> None:
    assert yard.call(**KEYS) == 0
    assert yard.done[:4] == [
        "push-images", "sign-images", "verify-images", "apply",
    ]  # fmt: skip


@pytest.mark.parametrize("step", ["sign-images", "verify-images"])
def test_what_is_not_signed_is_not_applied(yard: Yard, step: str) -> None:
    assert yard.call(fails=step, **KEYS) == 6
    assert "apply" not in yard.now["log"] and (yard.serves(), yard.images()) == ({"old"}, "old")


def built_elsewhere(yard: Yard, *, signed: bool) -> None:
    (yard.folder / "infra/k8s/images/kustomization.yaml").write_text("new")
    if signed:
        (yard.folder / "infra/k8s/images/kustomization.yaml.sigstore.json").touch()


def test_list_that_was_built_elsewhere_is_rolled_out_by_its_signature(yard: Yard) -> None:
    built_elsewhere(yard, signed=True)
    assert yard.call("--built", TRAINYARD_IMAGES_PUBLIC_KEYS="keys", TOKEN_FILE="token") == 0
    assert yard.serves() == {"new"}
    assert yard.done[0] == "verify-images" and "push-images" not in yard.now["log"]
    assert yard.now["asked"][-2:] == ["--token-file", "token"]


def test_list_that_was_built_elsewhere_and_is_not_signed_touches_nothing(yard: Yard) -> None:
    built_elsewhere(yard, signed=False)
    assert yard.call("--built", TRAINYARD_IMAGES_PUBLIC_KEYS="keys") == 4
    assert yard.now["log"] == ["verify-images"] and yard.serves() == {"old"}
    assert yard.call("--built") == 2
    assert "TRAINYARD_IMAGES_PUBLIC_KEYS" in yard.said and yard.now["log"] == []


def test_list_that_was_built_elsewhere_goes_with_what_could_not_be_rolled_out(yard: Yard) -> None:
    built_elsewhere(yard, signed=True)
    assert yard.call("--built", fails="rollout status", TRAINYARD_IMAGES_PUBLIC_KEYS="keys") == 6
    assert (yard.serves(), yard.images()) == ({"old"}, "old")
    assert not (yard.folder / "infra/k8s/images/kustomization.yaml.sigstore.json").exists()
