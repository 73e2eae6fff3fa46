"""What the pages on clients and build servers show, executed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.small_repository import Yard
from tests.unit.adapter.fakes import FakeModelServer, adapter
from tests.unit.adapter.images import gray

DOCS = next(root / "docs" for root in (Path.cwd(), *Path(__file__).parents) if (root / "docs" / "clients.md").is_file())
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page, language, heading=""):
    text = (DOCS / page).read_text("utf-8").partition(f"\n## {heading}")[2]
    return [code for kind, code in _BLOCK.findall(text.partition("\n## ")[0]) if kind == language]


@pytest.fixture
def asked(tmp_path):
    """Runs a snippet of the page on clients where scan.png lies, against a service; what it prints."""
    (tmp_path / "scan.png").write_bytes(gray(255))
    with FakeModelServer().serving() as server, adapter(f"127.0.0.1:{server.port}") as it:

        def run(command, code):
            code = code.replace("127.0.0.1:9090", it.grpc).replace("http://127.0.0.1:8080", it.http)
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "no_proxy": "127.0.0.1"}
            done = subprocess.run(
                [*command, code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield run


@pytest.mark.parametrize("number", [0, 1])
def test_python(asked, number):
    assert "COVID" in asked([sys.executable, "-c"], blocks("clients.md", "python", "Python")[number])


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl is installed")
def test_curl(asked):
    said = asked(["bash", "-euc"], blocks("clients.md", "sh", "curl")[0])
    assert said.count('"label":"COVID"') == 3 and '"version_labels"' in said


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node is installed")
def test_javascript(asked):
    said = asked(["node", "--input-type=module", "-e"], blocks("clients.md", "js", "JavaScript")[0])
    assert said.startswith("COVID 1 by version 1")


PROTO = DOCS.parent / "src/proto"
# language -> (its generators by the names that protoc calls, what they write)
GENERATORS = {
    "Go": (["protoc-gen-go", "protoc-gen-go-grpc"], "example.com/app/classifier/classifier_grpc.pb.go"),
    "Java": (["protoc-gen-grpc-java"], "src/main/java/**/ClassifierGrpc.java"),
}


@pytest.mark.parametrize("language", GENERATORS)
def test_stubs_are_generated(tmp_path, language):
    names, written = GENERATORS[language]
    (tmp_path / "bin").mkdir()
    for name in names:
        # Debian's name of Java's is its own.
        found = shutil.which(name) or shutil.which(name.replace("protoc-gen-grpc-java", "grpc_java_plugin"))
        if found is None or shutil.which("protoc") is None:
            pytest.skip(f"protoc or {name} is not installed")
        (tmp_path / "bin" / name).symlink_to(found)
    shutil.copytree(PROTO, tmp_path / "src/proto")
    (block,) = blocks("clients.md", "sh", "Go, Java and other languages")
    lines = block.partition(f"# {language}: ")[2].partition("\n")[2].partition("\n\n")[0]
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    subprocess.run(["bash", "-euc", lines], cwd=tmp_path, env=environment, check=True)
    (stub,) = tmp_path.glob(written)
    assert "Classify" in stub.read_text("utf-8")


def steps(server):
    """The shell steps of a build server's file in order, and the variables of its own."""
    if server == "GitHub":
        job = yaml.safe_load(blocks("build-servers.md", "yaml", "GitHub")[0])["jobs"]["trainyard"]
        return [step["run"] for step in job["steps"] if "run" in step]
    file = yaml.safe_load(blocks("build-servers.md", "yaml", "GitLab")[0])
    before = file[".pants"]["before_script"]
    return ["\n".join([*before, *file[job]["script"]]) for job in ("check", "models")]


@pytest.mark.parametrize("server", ["GitHub", "GitLab"])
@pytest.mark.parametrize("on_main", [True, False], ids=["on main", "on a branch"])
def test_build_servers_steps_do_what_a_push_asks_for(tmp_path, server, on_main):
    yard = Yard(tmp_path)
    before = yard.git("rev-parse", "HEAD").strip()
    (yard.root / "model.py").write_text("changed = True\n")
    yard.commit()
    # The pipeline is the real one; what it starts is the small repository's stand-in.
    pipeline = f'if [[ $2 == src/python/pipeline ]]; then shift 3; exec "{sys.executable}" -m pipeline "$@"; fi\n'
    pants = yard.root / "pants"
    pants.write_text(pants.read_text().replace("\n", "\n" + pipeline, 1))
    yard.commit()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "SCENE": str(yard.scene),
        "SINCE": before,
        "ON_MAIN": str(on_main).lower(),
        "CI_COMMIT_BEFORE_SHA": before,
        "GITLAB_USER_LOGIN": "ada",
        "TRAINYARD_REGISTRY_URI": str(tmp_path / "registry"),
        "TRAINYARD_MAIL_OUTBOX": str(tmp_path / "outbox"),
    }
    shown = ""
    # GitLab's second job is of the default branch alone, which its rule says.
    for step in steps(server)[: None if on_main or server == "GitHub" else 1]:
        done = subprocess.run(
            ["bash", "-e", "-c", step], cwd=yard.root, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr + done.stdout
        shown += done.stdout + done.stderr
    started = yard.started()
    assert "chest-xray" in shown
    assert ("train" in started, "test_model" in started) == (on_main, on_main)
    assert {"lint", "test"} <= set(started), "the checks were carried out"
