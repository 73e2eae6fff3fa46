"""README's first command on a Debian that holds Git, certificates and a shell, and no Python: as far as a fresh machine
can be had. The host of interpreters is out of reach of many; uv gets them from an archive of those that are here."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine import docker
from tests.docker.conftest import lacks
from tests.interpreters import libraries, listed, packed, release_of
from tests.repository import Repository

# Debian is installed, and Pants.
pytestmark = pytest.mark.timeout(800)
ROOT = Path(__file__).parents[2]
IMAGE = "trainyard/bare:bookworm"
# A machine of 4 GiB.
MEMORY = "4g"
NOTHING_BUT_GIT = "git clone -q /given/repository ~/trainyard; cd ~/trainyard; "
# What the archive of the real host has in itself.
LIBRARIES = 'cp -n /given/lib/* "/usr/lib/$(uname -m)-linux-gnu/"; ldconfig; export PATH=/given/bin:$PATH; '


def old_python():
    """A Python 3.9 of this machine, for Pants."""
    home = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trainyard/python"
    found = [*home.glob("versions/3.9.*/bin/python3.9"), *cache.glob("cpython-3.9.*/bin/python3.9")]
    return str(found[0]) if found else shutil.which("python3.9")


@pytest.fixture(scope="module")
def image(engine):
    if docker("image", "inspect", IMAGE).returncode:
        if os.geteuid() or shutil.which("debootstrap") is None:
            lacks("a bare Debian takes root and debootstrap (`apt-get install debootstrap`)")
        made = subprocess.run(
            [ROOT / "scripts/base-image", IMAGE, "git,ca-certificates"], capture_output=True, text=True
        )
        assert made.returncode == 0, made.stderr
    return IMAGE


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A folder with the repository, uv, and interpreters with the libraries that they need here."""
    folder = tmp_path_factory.mktemp("given")
    repository = Repository(folder / "repository")
    known = {}
    (folder / "lib").mkdir()
    if (old := old_python()) is None:
        lacks("no Python 3.9 is here to be packed")
    for python in (old, sys.executable):
        release, base = release_of(python)
        version = release.rpartition(".")[0]
        archive = folder / f"python-{version}.tar.gz"
        packed(archive, base, version)
        known |= listed(archive, release, f"file:///given/{archive.name}")
        for library in libraries(base, version):
            shutil.copy(library, folder / "lib")
    (folder / "downloads.json").write_text(json.dumps(known))
    uv = ["install", "-q", "--no-deps", "--require-hashes", "--target", folder, "-r", ROOT / "3rdparty/python/uv.lock"]
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    subprocess.run([folder / "venv/bin/pip", "--disable-pip-version-check", *uv], check=True)
    shutil.rmtree(folder / "venv")
    yield folder
    repository.close()


@pytest.fixture(scope="module")
def machine(image, given, tmp_path_factory):
    """Runs lines on the machine; its home lasts from call to call."""
    home = tmp_path_factory.mktemp("home")

    def run(lines, network="host"):
        bundles = {n: os.environ[n] for n in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE") if os.environ.get(n)}
        variables = {"UV_PYTHON_DOWNLOADS_JSON_URL": "/given/downloads.json", "HOME": "/root", **bundles}
        options = ["--memory", MEMORY, "--network", network, "--workdir", "/root"]
        for mount in [f"{given}:/given:ro", f"{home}:/root", *(f"{file}:{file}:ro" for file in set(bundles.values()))]:
            options += ["--volume", mount]
        for name, value in variables.items():
            options += ["--env", f"{name}={value}"]
        return docker("run", "--rm", *options, image, "bash", "-ec", lines)

    return run


def test_without_python_and_uv_one_sentence_says_what_to_install(machine):
    ended = machine(NOTHING_BUT_GIT + "! command -v python3; ./pants version")
    assert "python" not in ended.stdout
    assert ended.returncode == 6, ended.stderr
    (sentence,) = ended.stderr.strip().splitlines()
    assert sentence.startswith("error: Python 3.11 was not found") and "neither uv nor a Python 3" in sentence


def test_with_uv_alone_pants_starts_and_needs_no_network_the_second_time(machine, capsys):
    started = time.monotonic()
    first = machine("cd trainyard; " + LIBRARIES + "./pants version")
    seconds = time.monotonic() - started
    assert first.returncode == 0, first.stderr
    assert first.stdout.strip() == "2.17.1"
    assert first.stderr.count("fetching it into /root/.cache/trainyard") == 2
    second = machine("cd trainyard; " + LIBRARIES + "./pants version", network="none")
    assert second.returncode == 0, second.stderr
    assert "fetching" not in second.stderr and "Installing" not in second.stderr
    with capsys.disabled():
        print(f"\nA bare Debian, from the clone to `./pants version`: {seconds:.0f} s.")


@pytest.mark.skipif(
    "TRAINYARD_WALK" not in os.environ, reason="It fetches TensorFlow, and takes minutes; TRAINYARD_WALK asks for it."
)
@pytest.mark.timeout(1700)
def test_quickstart_on_a_bare_machine_of_4_gib(machine, capsys):
    started = time.monotonic()
    ended = machine("cd trainyard; " + LIBRARIES + "./pants --no-dynamic-ui run //:quickstart -- --json")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert json.loads(ended.stdout.splitlines()[-1])["failed_requests"] == 0
    with capsys.disabled():
        print(f"\nThe quickstart on a bare Debian of 4 GiB: {time.monotonic() - started:.0f} s.")
