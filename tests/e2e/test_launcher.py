"""The launcher, with stand-ins for the interpreters: what it installs, when, and what it hands to Pants.

`python3.9 -m venv` makes stub programs here, so nothing is downloaded; every call of one is a line of a log.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
# All the launcher may take from the machine; none of them an interpreter.
SYSTEM = ("bash", "cat", "cksum", "cp", "dirname", "env", "ln", "mkdir", "mktemp", "rm", "sleep", "tr")

# `-c` is asked for its version first, and for a digest later; `-m venv FOLDER` makes stub programs. What the launcher
# itself has in Python is run.
PYTHON = """#!/usr/bin/env bash
set -eu
if [[ $1 == -c && $2 == *version_info* ]]; then
  [[ $2 == *"== '{version}'"* ]] || exit 1
  [[ $2 != *ensurepip* || -z ${{WITHOUT_ENSUREPIP:-}} ]] || exit 1
  echo "$0"
elif [[ $1 != -m ]]; then
  exec {python} "$@"
elif [[ $2 == pip ]]; then
  [[ -n ${{WITH_PIP:-}} && $5 == --target ]] || exit 1
  echo "pip ${{*:7}}" >>"$LOG"
  mkdir -p "$6/bin" && cp "$STUBS/uv" "$6/bin/uv"
else
  [[ $3 != */uv.* ]] || exit 1
  echo "venv" >>"$LOG"
  mkdir -p "$3/bin"
  ln -s "$0" "$3/bin/python"
  for program in pip pex pants; do ln -s "$STUBS/$program" "$3/bin/$program"; done
fi
"""

PIP = """#!/usr/bin/env bash
echo "pip $*" >>"$LOG"
echo "WARNING: noise of pip"
sleep "${PIP_SECONDS:-0}"
exit "${PIP_STATUS:-0}"
"""

PEX = """#!/usr/bin/env bash
echo "pex $*" >>"$LOG"
while [[ $1 != -o ]]; do shift; done
echo "a pex" >"$2"
"""

# Installs what stands ready, as the interpreters' own host would.
UV = """#!/usr/bin/env bash
echo "uv $*" >>"$LOG"
[[ -z ${UV_STATUS:-} ]] || { echo "uv: no answer from a host" >&2; exit "$UV_STATUS"; }
echo "uv: done" >&2
there=$UV_PYTHON_INSTALL_DIR/cpython-${!#}.18-linux/bin
mkdir -p "$there" && ln -s "$READY/python${!#}" "$there/python"
"""

PANTS = """import os, sys
pex = os.environ["PANTS_PEX_CLI_URL_TEMPLATE"]
os.path.exists(pex[len("file://"):]) or sys.exit(70)
print(pex, os.environ["PANTS_PEX_CLI_VERSION"], sep="\\n")
print(*(f"<{word}>" for word in sys.argv[1:]), sep="", end="")
"""


def write_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@dataclass
class Machine:
    """A checkout with the launcher, and an environment in which only our interpreters are found."""

    root: Path
    cache: Path
    log: Path
    interpreters: Path
    env: dict[str, str]

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.root / "pants", *arguments],
            env=self.env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def launch(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **env)
        out, err = process.communicate(timeout=15)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def installs(self) -> int:
        """How often an installation was begun."""
        return self.log.read_text().count("pants.lock") if self.log.exists() else 0

    def links(self) -> list[Path]:
        return list((self.cache / "trainyard").glob("tools-*"))

    def folders(self) -> list[Path]:
        return list((self.cache / "trainyard").glob("installing.*"))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    root = tmp_path / "checkout"
    shutil.copytree(REPOSITORY / "3rdparty/python", root / "3rdparty/python")
    shutil.copytree(REPOSITORY / "scripts/launch", root / "scripts/launch")
    shutil.copy(REPOSITORY / "pants", root / "pants")
    (root / "pants.toml").write_text('[GLOBAL]\npants_version = "2.17.1"\n')

    programs = tmp_path / "programs"
    programs.mkdir()
    for name in SYSTEM:
        found = shutil.which(name)
        assert found, f"{name} is needed by this test"
        (programs / name).symlink_to(found)

    stubs = tmp_path / "stubs"
    for name, text in (("pip", PIP), ("pex", PEX), ("pants", PANTS), ("uv", UV)):
        write_program(stubs / name, text)
    interpreters = tmp_path / "interpreters"
    for version in ("3.9", "3.11"):
        write_program(interpreters / f"python{version}", PYTHON.format(python=sys.executable, version=version))

    cache = tmp_path / "cache with spaces"
    log = tmp_path / "log"
    env = {
        "PATH": f"{interpreters}:{programs}",
        "HOME": str(tmp_path / "home"),
        "PYENV_ROOT": str(tmp_path / "pyenv"),
        "XDG_CACHE_HOME": str(cache),
        "LOG": str(log),
        "STUBS": str(stubs),
        "READY": str(tmp_path / "ready"),
        "PIP_CONFIG_FILE": "/dev/null",
    }
    yield Machine(root, cache, log, interpreters, env)
    for link in Path("/tmp").glob(f"trainyard-{os.getuid()}-*.pex"):
        if Path(os.readlink(link)).is_relative_to(tmp_path):
            link.unlink()


def missing(machine: Machine, version: str) -> None:
    """Takes an interpreter off the machine, to where the stub of uv has it from."""
    ready = machine.root.parent / "ready"
    ready.mkdir()
    (machine.interpreters / f"python{version}").rename(ready / f"python{version}")


def refused(machine: Machine, said: str, **env: str) -> list[str]:
    result = machine.launch("--version", **env)
    assert (result.returncode, result.stdout) == (6, "")
    *before, last = result.stderr.splitlines()
    assert last.startswith("error: ") and said in last
    assert machine.links() == []
    return before


@pytest.mark.parametrize("version", ["3.9", "3.11"])
def test_missing_interpreter_that_nothing_can_fetch_is_named_in_one_sentence(machine: Machine, version: str) -> None:
    missing(machine, version)
    assert refused(machine, f"Python {version} was not found on PATH or in pyenv, and to fetch it neither uv") == []
    assert refused(machine, f"`pyenv install {version}`", TRAINYARD_PYTHON="system") == []


@pytest.mark.parametrize("version", ["3.9", "3.11"])
@pytest.mark.parametrize("has", ["uv", "pip"])
def test_missing_interpreter_is_fetched_once(machine: Machine, version: str, has: str) -> None:
    missing(machine, version)
    env = {"WITH_PIP": "1"} if has == "pip" else {}
    if has == "uv":
        shutil.copy(Path(machine.env["STUBS"]) / "uv", machine.interpreters / "uv")
    first = machine.launch("--version", **env)
    assert first.returncode == 0, first.stderr
    assert "uv: done" not in first.stderr
    told = f"Python {version} was not found: fetching it into {machine.cache}/trainyard"
    assert [line for line in first.stderr.splitlines() if line.startswith(told)]
    calls = machine.log.read_text().splitlines()
    assert [line for line in calls if line[:3] == "uv "] == [f"uv python install --no-config {version}"]
    pinned = f"pip --no-deps --require-hashes -r {machine.root}/3rdparty/python/uv.lock"
    assert (pinned in calls) == (has == "pip")
    second = machine.launch("--version", **env)
    assert (second.returncode, second.stdout, second.stderr) == (0, first.stdout, "")
    assert machine.log.read_text().splitlines() == calls


def test_a_python_that_was_fetched_is_where_pants_looks_for_it(machine: Machine) -> None:
    missing(machine, "3.11")
    shutil.copy(Path(machine.env["STUBS"]) / "uv", machine.interpreters / "uv")
    write_program(Path(machine.env["STUBS"]) / "pants", 'import os\nprint(os.environ["PATH"])\n')
    result = machine.launch("--version")
    assert result.stdout.rstrip().endswith(f":{machine.cache}/trainyard/python/cpython-3.11.18-linux/bin")


def test_a_fetch_that_fails_shows_why_and_the_ways_out(machine: Machine) -> None:
    missing(machine, "3.9")
    before = refused(machine, "UV_PYTHON_INSTALL_MIRROR, or install it", WITH_PIP="1", UV_STATUS="2")
    assert before[-1] == "uv: no answer from a host"


def test_a_cache_that_cannot_be_written_is_named(machine: Machine) -> None:
    (machine.root / "file").touch()
    assert refused(machine, "name a folder that can in XDG_CACHE_HOME", XDG_CACHE_HOME=str(machine.root / "file")) == []


def test_python_without_ensurepip_does_not_count(machine: Machine) -> None:
    assert refused(machine, "Python 3.9 was not found", WITHOUT_ENSUREPIP="1") == []


def test_interpreter_is_found_in_pyenv(machine: Machine, tmp_path: Path) -> None:
    there = tmp_path / "pyenv/versions/3.9.18/bin"
    there.mkdir(parents=True)
    (machine.interpreters / "python3.9").rename(there / "python")
    result = machine.launch("--version")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("version", ["3.9", "3.11"])
def test_python3_counts_where_its_version_fits(machine: Machine, version: str) -> None:
    (machine.interpreters / f"python{version}").rename(machine.interpreters / "python3")
    result = machine.launch("--version")
    assert result.returncode == 0, result.stderr


def test_a_clone_with_line_ends_of_windows_has_those_that_a_shell_reads(tmp_path: Path) -> None:
    source, clone = tmp_path / "source", tmp_path / "clone"
    source.mkdir()
    for name in (".gitattributes", "pants"):
        shutil.copy(REPOSITORY / name, source / name)
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "A commit"]):
        subprocess.run(["git", *arguments], cwd=source, check=True)
    subprocess.run(["git", "clone", "-q", "-c", "core.autocrlf=true", source, clone], check=True)
    assert (clone / "pants").read_bytes() == (REPOSITORY / "pants").read_bytes()


def test_own_pants_is_used_and_nothing_installed(machine: Machine, tmp_path: Path) -> None:
    own = write_program(tmp_path / "own-pants", '#!/usr/bin/env bash\nprintf "own %s" "$@"\n')
    shutil.rmtree(machine.interpreters)
    result = machine.launch("--version", PANTS_BIN=str(own))
    assert (result.returncode, result.stdout) == (0, "own --version")
    assert not machine.cache.exists()
    assert not machine.log.exists()


def test_first_launch_installs_in_one_line_and_the_next_ones_do_not(machine: Machine) -> None:
    first = machine.launch("--version")
    assert first.returncode == 0, first.stderr
    assert [line.split(" into ")[0] for line in first.stderr.splitlines()] == ["Installing Pants"]
    assert re.search(r"\d+ MB from PyPI; .* [\d.]+ GB more", first.stderr), "what will be fetched, and how large it is"
    steps = machine.log.read_text()
    assert steps.count("--require-hashes") == 2

    second = machine.launch("--version")
    assert (second.returncode, second.stdout, second.stderr) == (0, first.stdout, "")
    assert machine.log.read_text() == steps


def test_pex_is_built_from_its_lock(machine: Machine) -> None:
    lock = machine.root / "3rdparty/python/pex.lock"
    lock.write_text("pex==9.8.7 \\\n    --hash=sha256:00\n")
    result = machine.launch("--version")
    assert result.stdout.splitlines()[1] == "v9.8.7"
    (step,) = [line for line in machine.log.read_text().splitlines() if line.startswith("pex ")]
    assert f"-r {lock}" in step
    assert "pex==" not in step
    # Its own arguments, which Pants can't be told to give it.
    assert "--inject-args --no-pre-install-wheels" in step


def test_cache_path_with_spaces_stays_out_of_the_url(machine: Machine) -> None:
    result = machine.launch("--version")
    assert result.returncode == 0, result.stderr
    url = result.stdout.splitlines()[0]
    assert " " in str(machine.cache)
    assert " " not in url
    assert Path(url.removeprefix("file://")).read_text() == "a pex\n"


def test_two_launches_at_once_leave_one_installation(machine: Machine) -> None:
    both = [machine.start("--version", PIP_SECONDS="0.5") for _ in range(2)]
    for process in both:
        _, err = process.communicate(timeout=15)
        assert process.returncode == 0, err
    assert machine.installs() == 2, "they did not overlap"
    (link,) = machine.links()
    assert machine.folders() == [link.resolve()]
    assert not [path for path in link.iterdir() if path.is_symlink()]


def test_killed_installation_is_repaired_by_the_next_launch(machine: Machine) -> None:
    process = machine.start("--version", PIP_SECONDS="30")
    deadline = time.monotonic() + 10
    while machine.installs() == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    assert machine.installs() == 1
    assert machine.links() == []

    result = machine.launch("--version")
    assert result.returncode == 0, result.stderr
    assert machine.installs() == 2
    assert len(machine.links()) == 1


def test_failed_installation_shows_why_and_leaves_nothing(machine: Machine) -> None:
    result = machine.launch("--version", PIP_STATUS="1")
    assert result.returncode == 6
    assert "WARNING: noise of pip" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: Pants was not installed")
    assert (machine.links(), machine.folders()) == ([], [])


@pytest.mark.parametrize("broken", ["", "pants/bin/pants", "pants/bin/python", "pex.file", "pex.digest"])
def test_broken_installation_is_replaced(machine: Machine, broken: str) -> None:
    machine.launch("--version")
    (link,) = machine.links()
    folder = link.resolve()
    if broken == "":
        shutil.rmtree(folder)  # the link dangles
    elif broken == "pants/bin/python":  # its base interpreter moved
        (folder / broken).unlink()
        (folder / broken).symlink_to("/nowhere/python3.9")
    elif broken == "pex.digest":
        (folder / broken).write_text("")
    else:
        (folder / broken).unlink()

    result = machine.launch("--version")
    assert result.returncode == 0, result.stderr
    assert machine.installs() == 2
    assert link.resolve() != folder


@pytest.mark.parametrize(
    ("arguments", "filtered"),
    [
        ("run src/program", True),
        ("run src/program -- list", True),
        ("--no-dynamic-ui run src/program -- list", True),
        ("run --no-open src/program", True),
        ("run src/program/file.py", False),
        ("run src/program:target", False),
        ("run src/program/file.py -- src/program", False),
        ("run src/program:target -- run src/program", False),
        ("run src/program::", False),
        ("test src/program", False),
        ("test src/program -- run src/program", False),
        ("list src/program", False),
        ("--version", False),
        ("", False),
    ],
)
def test_only_a_folder_to_run_is_filtered(machine: Machine, tmp_path: Path, arguments: str, filtered: bool) -> None:
    (machine.root / "src/program").mkdir(parents=True)
    (machine.root / "src/program/file.py").touch()
    (machine.root / "src/program/BUILD").write_text('python_sources(name="target")\npex_binary()\n')
    own = write_program(tmp_path / "own-pants", '#!/usr/bin/env bash\nfor word in "$@"; do echo "$word"; done\n')
    result = machine.launch(*arguments.split(), PANTS_BIN=str(own))
    assert result.returncode == 0, result.stderr
    expected = ["--filter-target-type=pex_binary"] * filtered + arguments.split()
    assert result.stdout.splitlines() == expected


def test_arguments_reach_pants_unchanged(machine: Machine) -> None:
    (machine.root / "a.py").touch()
    result = machine.launch("run", "a.py", "--", "two words", "", "*")
    assert result.stdout.endswith("<run><a.py><--><two words><><*>")


SHOW_OPTIONS = """#!/usr/bin/env bash
for name in CONCURRENT PYTHON_REPOS_INDEXES REMOTE_STORE_ADDRESS REMOTE_CACHE_READ REMOTE_CACHE_WRITE \\
  REMOTE_OAUTH_BEARER_TOKEN_PATH; do
  variable=PANTS_$name
  echo "$name=${!variable:-}"
done
"""


def options(machine: Machine, tmp_path: Path, *arguments: str, **env: str) -> dict[str, str]:
    """What the launcher hands to Pants, where it hands on anything."""
    own = write_program(tmp_path / "own-pants", SHOW_OPTIONS)
    result = machine.launch(*arguments, PANTS_BIN=str(own), **env)
    assert result.returncode == 0, result.stderr
    return dict(line.split("=") for line in result.stdout.splitlines() if not line.endswith("="))


def test_two_variables_configure_a_remote_cache(machine: Machine, tmp_path: Path) -> None:
    given = {
        "TRAINYARD_REMOTE_CACHE": "grpc://cache:9092",
        "TRAINYARD_REMOTE_CACHE_TOKEN_FILE": str(tmp_path / "token"),
    }
    (tmp_path / "token").write_text("secret")
    assert options(machine, tmp_path, "--version", **given) == {
        "REMOTE_STORE_ADDRESS": "grpc://cache:9092",
        "REMOTE_CACHE_READ": "True",
        "REMOTE_CACHE_WRITE": "True",
        "REMOTE_OAUTH_BEARER_TOKEN_PATH": str(tmp_path / "token"),
    }
    reader = options(machine, tmp_path, "--version", PANTS_REMOTE_CACHE_WRITE="False", **given)
    assert (reader["REMOTE_CACHE_READ"], reader["REMOTE_CACHE_WRITE"]) == ("True", "False")
    assert options(machine, tmp_path, "--version") == {}


@pytest.mark.parametrize(
    ("env", "index"),
    [
        ({"PIP_CONFIG_FILE": ""}, "https://mine/simple"),
        ({"PIP_CONFIG_FILE": "", "PIP_INDEX_URL": "https://other/simple"}, "https://other/simple"),
        ({"PIP_CONFIG_FILE": "/dev/null"}, None),
    ],
)
def test_the_package_index_of_pips_settings_reaches_pants(
    machine: Machine, tmp_path: Path, env: dict[str, str], index: str | None
) -> None:
    for place, url in ((".pip", "https://old/simple"), (".config/pip", "https://mine/simple")):
        (tmp_path / "home" / place).mkdir(parents=True)
        # The last line has no end, as editors leave it.
        (tmp_path / "home" / place / "pip.conf").write_text(f"[global]\ntimeout = 9\nindex-url = {url}")
    found = options(machine, tmp_path, "--version", **env)
    assert found == ({"PYTHON_REPOS_INDEXES": f"['{index}']"} if index else {})


def test_token_that_cannot_be_read_is_named(machine: Machine, tmp_path: Path) -> None:
    given = {"TRAINYARD_REMOTE_CACHE": "grpc://cache:9092", "TRAINYARD_REMOTE_CACHE_TOKEN_FILE": str(tmp_path / "none")}
    result = machine.launch("--version", PANTS_BIN="/bin/false", **given)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: TRAINYARD_REMOTE_CACHE_TOKEN_FILE names {tmp_path}/none")


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ("run src/python/pipeline -- watch --once", True),
        ("run serving/adapter -- --backend x", True),
        ("run serving/adapter --help -- x", False),
        ("run serving/adapter/server.py -- x", False),
        ("run src/python/pipeline -- plan --since watch", False),
        ("run src/python/pipeline -- run --since HEAD", False),
    ],
)
def test_what_runs_for_hours_leaves_pants_once_it_is_built(
    machine: Machine, tmp_path: Path, arguments: str, left: bool
) -> None:
    for folder in ("src/python/pipeline", "serving/adapter"):
        (machine.root / folder).mkdir(parents=True)
        (machine.root / folder / "BUILD").write_text("pex_binary()")
    (machine.root / "serving/adapter/server.py").touch()
    write_program(tmp_path / "pex", '#!/bin/sh\necho "itself <$PEX> <$PEX_INTERPRETER> $*"')
    # Pants runs the interpreter of what it has built, which tells where that is.
    own = write_program(
        tmp_path / "own-pants", f'#!/bin/sh\necho "Pants <$PEX_INTERPRETER> $*"; echo {tmp_path}; echo /made/of.pex'
    )
    result = machine.launch(*arguments.split(), PANTS_BIN=str(own))
    program = arguments.partition(" -- ")[2]
    said = result.stdout.splitlines()[0]
    if left:
        assert said == f"itself </made/of.pex> <> {program}"
    else:
        assert said.startswith("Pants <> ") and said.endswith(arguments)


@pytest.mark.parametrize("python", [True, False], ids=["a source file", "no Python of ours"])
def test_what_runs_for_hours_and_can_not_leave_starts_beside_the_daemon(
    machine: Machine, tmp_path: Path, python: bool
) -> None:
    (machine.root / "serving/adapter").mkdir(parents=True)
    (machine.root / "serving/adapter/BUILD").write_text("pex_binary()")
    (machine.root / "serving/adapter/server.py").touch()
    if not python:
        missing(machine, "3.11")
    target = "serving/adapter/server.py" if python else "serving/adapter"
    assert options(machine, tmp_path, "run", target) == {"CONCURRENT": "True"}


def test_what_runs_for_hours_is_not_begun_if_it_can_not_be_built(machine: Machine, tmp_path: Path) -> None:
    (machine.root / "serving/adapter").mkdir(parents=True)
    (machine.root / "serving/adapter/BUILD").write_text("pex_binary()")
    own = write_program(tmp_path / "own-pants", "#!/bin/sh\necho no module >&2; exit 1")
    result = machine.launch("run", "serving/adapter", PANTS_BIN=str(own))
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "no module\n")


BENCHMARKS = """
for name in ("latency", "soak"):
    pex_binary(name=name, dependencies=parametrize(x=["a"]))
python_sources(name="lib")
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("run src/training", "src/training holds more than one program; name one: ./pants run src/training:train, "),
        ("run src/trainin:train", "there is no src/trainin. Did you mean ./pants run src/training:train?"),
        ("run src/training:trian", "src/training has no target `trian`. Did you mean ./pants run src/training:train?"),
        ("run src/library", "src/library holds no program. The programs are:\n"),
        ("run nowhere", "there is no nowhere. The programs are:\n  ./pants run src/ask\n"),
        ("run src/ask picture.png", "arguments of the program come after `--`: ./pants run src/ask -- picture.png"),
        (
            "run src/ask to my.png --as 'a b'",
            "arguments of the program come after `--`: ./pants run src/ask -- to my.png --as 'a b'",
        ),
        ("run", "name what to run. The programs are:\n"),
    ],
)
def test_a_program_that_is_mistyped_is_answered_with_those_there_are(
    machine: Machine, arguments: str, said: str
) -> None:
    for folder, text in (
        ("src/training", 'for name in ("train", "retrain"):\n    pex_binary(name=name)\nmodel()\n'),
        ("src/library", "python_sources()\n"),
        ("src/ask", "pex_binary(name='ask')\n"),
        ("benchmarks", BENCHMARKS),
    ):
        (machine.root / folder).mkdir(parents=True)
        (machine.root / folder / "BUILD").write_text(text)
    result = machine.launch(*shlex.split(arguments), PANTS_BIN="/bin/false")
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {said}")
    if "The programs are" in said:
        assert result.stderr.endswith("  ./pants run benchmarks:NAME, where NAME is latency, soak\n")


def test_an_import_that_lacks_its_dot_is_told_before_pants_can_not_place_it(machine: Machine) -> None:
    folder = machine.root / "models/leaves"
    (folder / "tests").mkdir(parents=True)
    (folder / "blocks.py").touch()
    (folder / "tests/helpers.py").touch()
    (folder / "network.py").write_text("import keras\nfrom .blocks import a\nfrom blocks import b\n")
    (folder / "tests/test_it.py").write_text("    import helpers\n")
    (machine.root / "a.py").touch()
    result = machine.launch("run", "a.py", PANTS_BIN="/bin/true")
    assert result.stderr.splitlines() == [
        "note: models/leaves/network.py (line 3) imports blocks, which stands beside it: write `from . import blocks`, "
        "or `from .blocks import …`.",
        "note: models/leaves/tests/test_it.py (line 1) imports helpers, which stands beside it: what tests share are "
        "fixtures of a conftest.py beside them.",
    ]


def test_a_call_that_has_ended_is_not_waited_for(machine: Machine) -> None:
    calls = machine.root / ".pants.d/calls"
    calls.mkdir(parents=True)
    ended = subprocess.Popen(["true"])
    ended.wait()
    # That one is alive, and none of ours: numbers are used again.
    with subprocess.Popen(["sleep", "60"]) as other:
        for pid in (ended.pid, other.pid):
            (calls / str(pid)).write_text("test ::")
        result = machine.launch("list", PANTS_BIN="/bin/true")
        other.kill()
    assert (result.returncode, result.stderr) == (0, "")
    assert not {file.name for file in calls.iterdir()} & {str(ended.pid), str(other.pid)}


def test_own_pants_that_is_not_there_is_named(machine: Machine) -> None:
    result = machine.launch("run", "--help", PANTS_BIN="/nowhere/pants")
    assert result.returncode == 2
    assert result.stderr == "error: /nowhere/pants can't be started; correct PANTS_BIN.\n"
