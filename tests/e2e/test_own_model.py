"""The commands of docs/your-own-model.md, word for word, as somebody with a folder of leaves would run them."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipeline.pants import fresh_environment
from tests.repository import Repository

PAGE = Path(__file__).parents[2] / "docs/your-own-model.md"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page):
    """(language, text) of each block of code; the first one is a picture of the folder."""
    return [(match[1], match[2]) for match in _BLOCK.finditer(page.read_text("utf-8"))][1:]


def leaves(folder):
    """Two classes that a small network can tell apart, in colour and oblong."""
    for label, hue in (("maple", (190, 60, 30)), ("oak", (50, 150, 40))):
        (folder / label).mkdir(parents=True)
        for number in range(1, 61):
            random = np.random.default_rng([number, len(label)])
            image = Image.new("RGB", (90, 70), tuple(int(v) for v in random.integers(190, 256, 3)))
            x, y, size = (int(random.integers(low, high)) for low, high in ((25, 65), (25, 45), (12, 22)))
            colour = tuple(int(v) for v in np.clip(np.array(hue) + random.integers(-25, 26, 3), 0, 255))
            draw = ImageDraw.Draw(image)
            shape = draw.ellipse if label == "oak" else draw.rectangle
            shape((x - size, y - size, x + size, y + size), fill=colour)
            image.save(folder / label / f"{number}.png")


class Shell:
    """Runs lines as a person's shell does; what was sent to the background is ended by `close`."""

    def __init__(self, folder, home):
        names = ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL")
        # As from a shell, not as from inside a test that Pants runs.
        kept = {k: v for k, v in fresh_environment().items() if not k.startswith(("PEX", "PANTS_", "TRAINYARD_"))}
        self.folder, self.home = folder, home
        self.environment = kept | {f"GIT_{name}": "grace@example.com" for name in names}
        self.background = []

    def run(self, line):
        # A HOME of its own would take the shared caches' place: programs that are built below it end with it.
        line = line.replace("~/", f"{self.home}/")
        if line.endswith("&"):
            log = (self.folder / ".trainyard" / f"server-{len(self.background)}.log").open("wb")
            command = line.removesuffix("&")
            self.background.append(
                subprocess.Popen(
                    command,
                    shell=True,
                    cwd=self.folder,
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
            self._await(b"Starting model server", Path(log.name))
            return ""
        started = time.monotonic()
        done = subprocess.run(line, shell=True, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        sys.stderr.write(f"$ {line}  ({time.monotonic() - started:.0f} s)\n{done.stdout}{done.stderr}\n")
        assert done.returncode == 0, f"{line}\n{done.stderr}{self._servers()}"
        return done.stdout + done.stderr

    def _await(self, said, log):
        """A person is not as quick as this: of two calls in one moment Pants' daemon may take the client first, which
        waits for the server, which waits for the daemon."""
        end = time.monotonic() + 200
        while said not in log.read_bytes() and time.monotonic() < end:
            time.sleep(0.2)

    def _servers(self):
        """What those in the background said, which goes with the folder."""
        logs = [log for where in ("server-*.log", "serving/*/*.log") for log in self.folder.glob(f".trainyard/{where}")]
        return "".join(f"\n{log.name}:\n{log.read_text(errors='replace')[-2000:]}" for log in logs)

    def close(self):
        for process in self.background:
            os.killpg(process.pid, signal.SIGTERM)
        for process in self.background:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.skipif(
    "TRAINYARD_WALK" not in os.environ,
    reason="It starts every program of a clone for the first time, which takes minutes; CI sets TRAINYARD_WALK.",
)
@pytest.mark.timeout(1750)
def test_stranger_comes_from_a_folder_of_images_to_a_served_prediction(tmp_path):
    home = tmp_path / "home"
    leaves(home / "leaves")
    repository = Repository(tmp_path / "trainyard")
    shell = Shell(repository.root, home)
    said = ""
    try:
        for language, text in blocks(PAGE):
            if language == "python":
                (repository.root / "models/leaves/network.py").write_text(text)
                continue
            for line in text.strip().splitlines():
                said = shell.run(line)
                if "pipeline -- run" in line:
                    assert "chest-xray" not in said, "another model than the new one was touched"
    finally:
        shell.close()
        repository.close()
    # The last command asked for the class of a maple leaf.
    assert "maple" in said
