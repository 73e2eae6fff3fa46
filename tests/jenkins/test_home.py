"""scripts/jenkins-home: who writes to Jenkins' home when, by a stand-in of kubectl that refuses a wrong order."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

# One volume that one pod at a time may write to; a program in a pod runs here, on its folder.
KUBECTL = f"""#!{sys.executable}
import json, os, pathlib, subprocess, sys
place = pathlib.Path(os.environ["WORLD"])
world = json.loads(place.read_text())
words = sys.argv[3:]
def need(holds, text):
    if not holds:
        place.write_text(json.dumps(world)); sys.exit(text)
world["log"].append(" ".join(words[:2]))
need(sys.argv[1:3] == ["-n", "trainyard-ci"], "in which namespace?")
if words[0] == "get":
    print("registry/jenkins@sha256:1")
elif words[0] == "scale":
    up = words[-1] == "--replicas=1"
    need(not (up and world["copying"]), "Multi-Attach error for volume")
    world["jenkins"] = "running" if up else "ending"
elif words[0] == "wait" and words[1] == "--for=delete":
    world["jenkins"] = "gone"
elif words[0] == "apply":
    pod = json.load(sys.stdin)
    need(world["jenkins"] == "gone", "Multi-Attach error for volume")
    need(pod["spec"]["containers"][0]["image"] == "registry/jenkins@sha256:1", "another image")
    world["copying"] = True
elif words[0] == "wait":
    need(world["copying"], "not found")
    world["ready"] = True
elif words[0] == "exec":
    need(world.get("ready"), "not running")
    need(world["fails"] != " ".join(words[words.index("--") + 1:][:1]), "it broke off")
    inside = words[words.index("--") + 1:]
    command = [word.replace("/var/jenkins_home", os.environ["HOME_OF_JENKINS"]) for word in inside]
    place.write_text(json.dumps(world))
    sys.exit(subprocess.run(command).returncode)
elif words[0] == "delete":
    world["copying"] = False
else:
    need(False, f"unexpected {{words}}")
place.write_text(json.dumps(world))
"""
ROOT = Path(__file__).parents[2]
KEPT = {"jobs/trainyard/builds/7/log": "built", "secrets/master.key": "k", "users/ada/config.xml": "ada"}


class Yard:
    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.world = folder, folder / "home", folder / "world.json"
        (folder / "kubectl").write_text(KUBECTL)
        (folder / "kubectl").chmod(0o755)
        for name, text in {**KEPT, "war/a.jar": "", "plugins/git.jpi": "", "workspace/x": ""}.items():
            (self.home / name).parent.mkdir(parents=True, exist_ok=True)
            (self.home / name).write_text(text)

    def call(self, *arguments: str, fails: str = "") -> "subprocess.CompletedProcess[str]":
        self.world.write_text(json.dumps({"jenkins": "running", "copying": False, "log": [], "fails": fails}))
        environment = {
            **os.environ,
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "WORLD": str(self.world),
            "HOME_OF_JENKINS": str(self.home),
        }
        command = [ROOT / "scripts" / "jenkins-home", *arguments]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60)

    @property
    def now(self) -> dict[str, object]:
        return dict(json.loads(self.world.read_text()))

    def holds(self) -> dict[str, str]:
        return {str(p.relative_to(self.home)): p.read_text() for p in self.home.rglob("*") if p.is_file()}


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def test_backup_and_restore_have_the_home_to_themselves_and_start_jenkins_again(yard: Yard) -> None:
    done = yard.call("backup", "home.tar.gz")
    assert done.returncode == 0, done.stderr
    assert yard.now["log"] == [
        "get statefulset/jenkins", "scale statefulset/jenkins", "wait --for=delete", "apply -f",
        "wait --for=condition=Ready", "exec jenkins-home", "delete pod", "scale statefulset/jenkins",
    ]  # fmt: skip
    assert (yard.now["jenkins"], yard.now["copying"]) == ("running", False)
    archive = yard.folder / "home.tar.gz"
    assert archive.stat().st_mode & 0o077 == 0
    with tarfile.open(archive) as opened:
        assert {m.name.removeprefix("./") for m in opened.getmembers() if m.isfile()} == set(KEPT)
    (yard.home / "jobs/trainyard/builds/7/log").write_text("spoilt")
    (yard.home / "jobs/later").write_text("of after the backup")
    done = yard.call("restore", "home.tar.gz")
    assert done.returncode == 0, done.stderr
    held = yard.holds()
    assert {name: held[name] for name in held if not name.startswith("before-restore/")} == KEPT
    assert held["before-restore/jobs/later"] == "of after the backup"
    assert (yard.now["jenkins"], yard.now["copying"]) == ("running", False)


def test_what_breaks_off_leaves_no_file_and_jenkins_running(yard: Yard) -> None:
    done = yard.call("backup", "home.tar.gz", fails="tar")
    assert done.returncode and "it broke off" in done.stderr
    assert not list(yard.folder.glob("home.tar.gz*"))
    assert (yard.now["jenkins"], yard.now["copying"]) == ("running", False)


def test_archive_that_is_cut_off_stops_nothing(yard: Yard) -> None:
    assert yard.call("backup", "home.tar.gz").returncode == 0
    archive = yard.folder / "home.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-20])
    before = yard.holds()
    done = yard.call("restore", "home.tar.gz")
    assert done.returncode == 4 and "no whole archive" in done.stderr
    assert yard.now["log"] == [] and yard.holds() == before
    assert yard.call("backup", "home.tar.gz").returncode == 2  # an earlier one is never replaced
