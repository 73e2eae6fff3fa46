"""Steps as containers: what Docker is told, and what is made of how a container ends. Docker is a stand-in."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from cli import InfrastructureError, UsageError
from pipeline import steps
from pipeline.executors import Job
from pipeline.executors.docker import Docker
from pipeline.runner import Run
from settings import Settings
from tests.unit.pipeline.fake_docker import FakeDocker

ROWS = {row.name: row for row in steps.TABLE}
NAME = "trainyard-key-train"
RAN = "2026-01-01T00:00:00Z"
NEVER = "0001-01-01T00:00:00Z"


@pytest.fixture
def docker(tmp_path, monkeypatch):
    fake = FakeDocker(tmp_path / "bin")
    fake.tell(images=["trainyard/train:latest", "trainyard/test_model:latest"], state={"StartedAt": RAN})
    monkeypatch.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
    return fake


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "images").mkdir()
    return Settings.model_validate(
        {
            "registry": {"uri": str(tmp_path / "registry")},
            "dataset": {"uri": str(tmp_path / "images")},
            "containers": {"memory": "3g"},
        }
    )


def start(settings, name, arguments=(), root=Path("/no/checkout"), **job):
    """The step of this name as a container."""
    return Docker(Job(root, settings, "key", root, **job)).step(ROWS[name], arguments)


@pytest.fixture
def carried_out(docker, settings, tmp_path):
    """carried_out(): the entry of a step that ran as a container, and its log."""

    def carry_out():
        run = Run(tmp_path / "runs", "key", {}, lambda text: None)
        entry = run.step(start(settings, "train"))
        return entry, (tmp_path / "runs" / "key" / "train.log").read_text()

    return carry_out


def words(settings):
    return start(settings, "train", ["--epochs", "2"]).argv


def mounted(path):
    return f"type=bind,source={path},target={path},readonly"


def options(argv):
    """Every option of `docker run` with its values; flags have none."""
    found, flags = {}, ("--init", "--read-only")
    rest = iter(argv[2:])
    for word in rest:
        if not word.startswith("--"):
            break  # the image
        found.setdefault(word, []).append(None if word in flags else next(rest))
    return found


def test_container_is_closed_off_and_limited(settings):
    found = options(words(settings))
    assert found["--network"] == ["none"]
    assert found["--read-only"] == [None]
    assert found["--tmpfs"] == ["/tmp:mode=1777"]
    assert found["--cap-drop"] == ["ALL"]
    assert found["--security-opt"] == ["no-new-privileges", "label=disable"]
    assert found["--memory"] == found["--memory-swap"] == ["3g"]
    assert "--pids-limit" in found
    # Signals reach the program, and its orphans are reaped.
    assert found["--init"] == [None]
    assert "--cpus" not in found


def test_processors_are_limited_where_the_settings_say_so(settings):
    limited = settings.model_copy(update={"containers": settings.containers.model_copy(update={"cpus": 1.5})})
    assert options(words(limited))["--cpus"] == ["1.5"]


def test_image_and_arguments_come_last(settings):
    assert words(settings)[:2] == ["docker", "run"]
    assert words(settings)[-3:] == ["trainyard/train:latest", "--epochs", "2"]
    assert options(words(settings))["--name"] == [NAME]


def test_only_the_registry_can_be_written_to_and_every_path_is_the_same_inside(settings, tmp_path):
    file = tmp_path / "trainyard.toml"
    file.touch()
    argv = start(settings, "train", root=tmp_path).argv
    mounts = options(argv)["--mount"]
    assert mounts == [
        f"type=bind,source={tmp_path}/registry,target={tmp_path}/registry",
        f"type=bind,source={tmp_path}/images,target={tmp_path}/images,readonly",
        f"type=bind,source={file},target=/etc/trainyard/trainyard.toml,readonly",
        mounted(tmp_path / "registry.keys" / "signing.pem"),
        mounted(tmp_path / "registry.keys" / "signing.pub"),
    ]
    # Where settings are looked for.
    assert options(argv)["--workdir"] == ["/etc/trainyard"]


def test_sample_is_no_folder_to_mount(settings, tmp_path):
    drawn = settings.model_copy(update={"dataset": settings.dataset.model_copy(update={"uri": "sample"})})
    found = options(words(drawn))["--mount"]
    assert found[0] == f"type=bind,source={tmp_path}/registry,target={tmp_path}/registry"
    assert all(mount.endswith(("signing.pem,readonly", "signing.pub,readonly")) for mount in found[1:])


def test_test_step_never_sees_the_key_that_signs(settings, tmp_path):
    with pytest.raises(UsageError, match="public_keys"):
        start(settings, "test")
    start(settings, "train")  # makes the pair
    found = options(start(settings, "test").argv)
    assert found["--mount"][2:] == [mounted(tmp_path / "registry.keys" / "signing.pub")]
    assert f"TRAINYARD_SIGNING_PUBLIC_KEYS={tmp_path}/registry.keys/signing.pub" in found["--env"]


def test_key_of_this_machine_is_named_by_its_place_inside(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINYARD_SIGNING_KEY", "elsewhere.pem")
    found = [text for text in options(words(settings))["--env"] if "SIGNING_KEY" in text]
    assert found == [f"TRAINYARD_SIGNING_KEY={tmp_path}/registry.keys/signing.pem"]


def test_path_with_a_comma_is_one_field(settings, tmp_path):
    folder = tmp_path / "a,b"
    folder.mkdir()
    chosen = settings.model_copy(update={"dataset": settings.dataset.model_copy(update={"uri": str(folder)})})
    assert options(words(chosen))["--mount"][1] == f'type=bind,"source={folder}","target={folder}",readonly'


def test_own_settings_reach_the_program_and_no_secret_does(settings, monkeypatch):
    monkeypatch.setenv("TRAINYARD_GATES_MIN_ACCURACY", "0.5")
    monkeypatch.setenv("TRAINYARD_SMTP_PASSWORD", "secret")
    monkeypatch.setenv("OTHER_TOKEN", "secret")
    found = options(words(settings))["--env"]
    assert "TRAINYARD_GATES_MIN_ACCURACY=0.5" in found
    assert "TRAINYARD_EXECUTOR=docker" in found
    assert not any("secret" in variable for variable in found)


def test_container_runs_as_its_caller(settings, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    monkeypatch.setattr(os, "getgid", lambda: 567)
    assert options(words(settings))["--user"] == ["1234:567"]


def test_root_hands_the_registry_to_the_images_user(settings, tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(os, "lchown", lambda path, uid, gid: given.update({str(path): (uid, gid)}))
    (tmp_path / "registry" / "chest-xray").mkdir(parents=True)
    (tmp_path / "registry" / "chest-xray" / "1.json").touch()
    assert options(words(settings))["--user"] == ["10001:10001"]
    inside = ("registry", "registry/chest-xray", "registry/chest-xray/1.json")
    assert given == {str(tmp_path / path): (10001, 10001) for path in inside}


def test_registry_that_cannot_be_made_is_named(settings, tmp_path):
    (tmp_path / "registry").write_text("in the way")
    with pytest.raises(InfrastructureError, match="registry"):
        words(settings)


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 6, 143])
def test_exit_code_and_result_are_the_programs(carried_out, docker, code):
    docker.tell(code=code, says='{"version": 7}')
    entry, _ = carried_out()
    assert (entry.exit_code, entry.result) == (code, {"version": 7})


def test_want_of_memory_is_told(carried_out, docker):
    docker.tell(code=137, state={"StartedAt": RAN, "OOMKilled": True})
    entry, log = carried_out()
    assert entry.exit_code == 6
    assert "error: The container was killed: it needed more than its 3g of memory." in log


def test_kill_from_outside_is_not_taken_for_want_of_memory(carried_out, docker):
    docker.tell(code=137, state={"StartedAt": RAN, "OOMKilled": False})
    entry, log = carried_out()
    assert entry.exit_code == 6
    assert "killed from outside" in log and "memory" not in log


def test_container_that_never_started_is_dockers_failure(carried_out, docker):
    docker.tell(code=127, state={"StartedAt": NEVER, "Error": "exec: /app/pex: not found"})
    entry, log = carried_out()
    assert entry.exit_code == 6
    assert "Docker could not start trainyard/train:latest: exec: /app/pex: not found." in log


def test_engine_that_makes_no_container_is_dockers_failure(carried_out, docker):
    docker.tell(code=125, says="invalid mount", state=None)
    entry, log = carried_out()
    assert entry.exit_code == 6
    assert "could not start" in log


def test_program_that_ends_with_such_a_code_itself_keeps_it(carried_out, docker):
    docker.tell(code=127, state={"StartedAt": RAN})
    assert carried_out()[0].exit_code == 127


def test_container_that_a_killed_run_left_is_removed_first_and_its_own_at_the_end(carried_out, docker):
    carried_out()
    remove = ["rm", "--force", "--volumes", NAME]
    verbs = [call[0] for call in docker.calls]
    assert verbs == ["rm", "image", "info", "run", "inspect", "rm"]
    assert docker.calls[0] == docker.calls[-1] == remove


def test_terminated_run_passes_it_on_and_leaves_no_container(carried_out, docker):
    docker.tell(seconds=60)

    def leave(*_):
        sys.exit(143)

    def interrupt():
        while not docker.running:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, leave)
    thread = threading.Thread(target=interrupt, daemon=True)
    try:
        thread.start()
        with pytest.raises(SystemExit):
            carried_out()
    finally:
        thread.join()
        signal.signal(signal.SIGALRM, before)
    assert docker.terminated
    assert docker.calls[-1] == ["rm", "--force", "--volumes", NAME]


def failure(settings):
    """What is said of a step whose container can't be started; nothing was run then."""
    with pytest.raises(InfrastructureError) as caught:
        start(settings, "train").container.prepare()
    return str(caught.value)


def test_missing_image_is_named_with_the_way_to_it(docker, settings):
    docker.tell(images=[])
    said = failure(settings)
    assert "trainyard/train:latest is not on this machine" in said
    assert "./pants package infra/docker:" in said


def test_engine_that_does_not_answer_is_told(docker, settings):
    docker.tell(broken=True)
    said = failure(settings)
    assert "Cannot connect to the Docker daemon" in said and "is its engine running?" in said


def test_machine_without_docker_is_told_in_one_sentence(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert failure(settings) == "The command `docker` is not installed; install it, or use --executor local."


@pytest.mark.parametrize(
    ("pipeline", "affected", "images"),
    [
        ("train", [], ["train", "test_model"]),
        ("retrain", [], ["retrain", "test_model"]),
        ("test", [], ["test_model"]),
        ("train", ["adapter", "train"], ["train", "test_model", "adapter"]),
        (None, ["adapter"], ["adapter"]),
    ],
)
def test_images_of_a_pipelines_steps_and_those_a_change_affects_are_built(pipeline, affected, images, settings):
    docker = Docker(Job(Path("/root"), settings, "key", Path("/root")))
    step = docker.images(steps.rows(pipeline), [f"infra/docker:{image}" for image in affected])
    assert step.argv == ["/root/pants", "package", *(f"infra/docker:{image}" for image in images)]


def test_no_image_is_built_where_none_is_needed(settings):
    assert Docker(Job(Path("/root"), settings, "key", Path("/root"))).images([], []) is None


def test_variables_of_the_job_reach_the_program(settings):
    found = options(start(settings, "train", variables={"TRAINYARD_CHECKED": "0"}).argv)["--env"]
    assert "TRAINYARD_CHECKED=0" in found


def test_step_that_measures_has_the_machine_to_itself(settings):
    start(settings, "train")  # makes the keys
    assert [start(settings, name).alone for name in ("train", "test")] == [False, True]


def test_registry_in_a_bucket_is_out_of_reach_for_a_container(settings):
    bucket = settings.model_copy(update={"registry": settings.registry.model_copy(update={"uri": "gs://bucket/x"})})
    with pytest.raises(UsageError, match=r"no network.*gs://bucket/x.*--executor local"):
        start(bucket, "train")


@pytest.mark.parametrize(
    ("info", "refused"),
    [
        ({"SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"]}, True),
        ({"host": {"security": {"rootless": True}}}, True),  # Podman
        ({"SecurityOptions": ["name=seccomp,profile=builtin"]}, False),
        ({"host": {"security": {"rootless": False}}}, False),
    ],
)
def test_rootless_engine_is_named_before_anything_runs(carried_out, docker, info, refused):
    docker.tell(info=info)
    entry, log = carried_out()
    assert entry.exit_code == (6 if refused else 0)
    assert ("run" not in [call[0] for call in docker.calls]) == refused
    assert ("is rootless" in log and "--executor local" in log) == refused
