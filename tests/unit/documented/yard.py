"""A copy of what the documented commands touch, and the tools' stand-ins, in which a page is executed."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.manifests import ROOT

HERE = Path(__file__).parent
TOOLS = ("gcloud", "terraform", "kubectl", "docker", "curl", "ssh-keyscan")
# Of gke.md: from an empty project to the first prediction.
SECTIONS = ("1. A project, and what Terraform makes in it", "2. Images", "3. The first model", "4. Serve it, and ask")
# What the real kubectl has rendered, by the files that it read: for all yards of this process.
RENDERED = tempfile.TemporaryDirectory(prefix="trainyard-rendered-")
# What a page exports goes from one script in a yard to the next, and into copies.
EXPORTED = '[ ! -e "$YARD.exports" ] || . "$YARD.exports"\n'
EXPORTS = """
export -p | grep -E " (PROJECT|REGION|HOST|TRAINYARD_[A-Z_]+)=" | sed "s|$YARD|\\$YARD|" >"$YARD.exports" || true
"""
PARTS = ("infra/k8s", "infra/terraform", "infra/jenkins", "serving/tensorflow_serving")


def blocks(page: str, *headings: str) -> str:
    """The commands of these sections of a page, as one script."""
    text = (ROOT / "docs" / "operations" / f"{page}.md").read_text()
    found = []
    for heading in headings:
        section = re.search(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##|\Z)", text, re.S | re.M)
        assert section, heading
        found += re.findall(r"^```\n(.*?)^```$", section[1], re.S | re.M)
    assert found
    return "\n".join(found)


def gke(section: str) -> str:
    """The commands of one of SECTIONS, where a host is named that somebody has."""
    return blocks("gke", section).replace("HOST=classifier.example.com", "HOST=classifier.example.org")


class Yard:
    def __init__(self, folder: Path) -> None:
        self.folder, self.world = folder / "yard", folder / "world.json"
        self.bin, self.home = folder / "bin", folder / "home"
        for made in (self.folder, self.bin, self.home):
            made.mkdir()
        for part in PARTS:
            shutil.copytree(ROOT / part, self.folder / part, ignore=shutil.ignore_patterns("secrets"))
        (self.folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "push-images", self.folder / "scripts")
        (self.folder / ".gitignore").write_text(".trainyard/\n")
        stand_in = f"#!{sys.executable}\n{(HERE / 'stand_in.py').read_text()}"
        for place in (*(self.bin / tool for tool in TOOLS), self.folder / "pants"):
            self.program(place, stand_in)
        self.program(self.bin / "less", "#!/bin/sh\nexec cat >/dev/null\n")
        self.git("init", "-qb", "main")
        self.git("config", "user.name", "T")
        self.git("config", "user.email", "t@example.com")
        self.git("add", "-A")
        self.git("commit", "-qm", "a")

    @staticmethod
    def program(place: Path, text: str) -> None:
        place.write_text(text)
        place.chmod(0o755)

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.folder, check=True, capture_output=True)

    def run(self, script: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        """With `given` to read from the terminal; what was exported here before is there."""
        kubectl = shutil.which("kubectl")
        assert kubectl
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TRAINYARD_")} | {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "WORLD": str(self.world),
            "YARD": str(self.folder),
            "KUBECTL": kubectl,
            "RENDERED": RENDERED.name,
            "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path),
        }
        command = ["bash", "-euo", "pipefail", "-c", EXPORTED + script + EXPORTS]
        return subprocess.run(command, cwd=self.folder, env=environment, input=given, capture_output=True, text=True)
