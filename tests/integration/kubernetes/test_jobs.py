"""Steps as Kubernetes Jobs: the real kubectl against a stand-in for the API server, over HTTP."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from cli import Exit, UsageError
from pipeline import steps
from pipeline.executors import Job
from pipeline.executors.kubernetes import Kubernetes
from pipeline.runner import Run
from settings import Settings
from tests.manifests import ROOT

TRAIN = next(row for row in steps.TABLE if row.name == "train")
KEY = "0123456789ab-0123456789ab"
NAME = f"trainyard-{KEY}-train"
IMAGES = "europe-docker.example/project/trainyard"
RESULT = "print('{\"version\": 7}')"


def settings(**more):
    sections = {"registry": {"uri": "gs://bucket/registry"}, "dataset": {"uri": "gs://bucket/xrays"}}
    return Settings.model_validate(sections | {"kubernetes": {"images": IMAGES}} | more)


def waiting_for(path):
    """A program that says something, and ends well once there is a file `path`."""
    there = f"os.path.exists({str(path)!r})"
    return f"import os, time; print('halfway', flush=True)\nwhile not {there}: time.sleep(0.02)\n{RESULT}"


class Runner:
    def __init__(self, folder):
        self.folder = folder / "runs"

    def executor(self, **more):
        return Kubernetes(Job(ROOT, settings(**more), KEY, self.folder / KEY, tag=KEY))

    def train(self, arguments=("--json",), row=TRAIN, **more):
        run = Run(self.folder, KEY, {}, lambda text: None)
        try:
            return run.step(self.executor(**more).step(row, list(arguments)))
        finally:
            run.leave()

    @property
    def log(self):
        path = self.folder / KEY / "train.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def runner(cluster, tmp_path):
    return Runner(tmp_path)


def eventually(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def nothing_left(cluster):
    return not cluster.of_kind("jobs") and not cluster.of_kind("configmaps")


@pytest.mark.parametrize("code", [0, 3, 6])
def test_exit_code_and_result_are_the_programs_and_nothing_is_left(cluster, runner, says, code):
    says(f"import sys; {RESULT}; print('error: a word', file=sys.stderr); sys.exit({code})")
    entry = runner.train()
    assert (entry.exit_code, entry.result) == (code, {"version": 7})
    assert "error: a word" in runner.log
    assert nothing_left(cluster)


def test_job_is_what_infra_k8s_says_with_the_steps_own_image_and_arguments(cluster, runner, says, monkeypatch):
    monkeypatch.setenv("TRAINYARD_GATES_MIN_ACCURACY", "0.5")
    monkeypatch.setenv("TRAINYARD_SMTP_PASSWORD", "hunter2")
    says("import sys; print(sys.argv)")
    runner.train(["--registry", "gs://bucket/registry", "--json"], model={"name": "other"})
    (job,) = cluster.created
    assert job["metadata"]["name"] == NAME
    assert job["metadata"]["namespace"] == "trainyard-jobs"
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == f"{IMAGES}/train:{KEY}"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["serviceAccountName"] == "pipeline"
    # Those are not the run's own, and keep their names.
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["private-key"]["secret"]["secretName"] == "signing"
    assert volumes["public-key"]["configMap"]["name"] == "signing-public"
    variables = {v["name"]: v["value"] for v in container["env"]}
    assert variables["TRAINYARD_EXECUTOR"] == "kubernetes"
    assert variables["TRAINYARD_MODEL_NAME"] == "other"
    assert variables["TRAINYARD_GATES_MIN_ACCURACY"] == "0.5"
    assert "hunter2" not in json.dumps(job)
    assert "'gs://bucket/registry', '--json'" in runner.log


def test_settings_and_a_datasets_pointer_come_along(cluster, runner, says, tmp_path):
    pointer = tmp_path / "sample.toml"
    pointer.write_text("images = 3\n")
    kept = []
    says(f"import time; {RESULT}; time.sleep(1)")
    watching = threading.Thread(
        target=lambda: (eventually(lambda: cluster.created), kept.extend(cluster.of_kind("configmaps")))
    )
    watching.start()
    runner.train(["--dataset", str(pointer), "--json"], dataset={"uri": str(pointer)})
    watching.join()
    (job,) = cluster.created
    spec = job["spec"]["template"]["spec"]
    assert spec["containers"][0]["args"][:2] == ["--dataset", "/etc/trainyard/sample.toml"]
    (name,) = [v["configMap"]["name"] for v in spec["volumes"] if v["name"] == "run"]
    (content,) = [m["data"] for m in kept if m["metadata"]["name"] == name]
    assert content == {"trainyard.toml": (ROOT / "trainyard.toml").read_text(), "sample.toml": "images = 3\n"}
    mounts = {mount["mountPath"]: mount for mount in spec["containers"][0]["volumeMounts"]}
    assert mounts["/etc/trainyard"]["name"] == "run"
    # In the image's own working folder, which can be written to.
    assert mounts["/tmp/trainyard.toml"]["subPath"] == "trainyard.toml"
    assert "workingDir" not in spec["containers"][0]


def test_log_comes_while_the_job_runs(cluster, runner, says, tmp_path):
    go = tmp_path / "go"
    says(waiting_for(go))
    thread = threading.Thread(target=runner.train)
    thread.start()
    eventually(lambda: "halfway" in runner.log)
    assert cluster.of_kind("jobs")
    go.touch()
    thread.join()
    assert nothing_left(cluster)


def test_lost_connection_loses_no_line_and_repeats_none(cluster, runner, says):
    says("import time\nfor i in range(60): print('line', i, flush=True); time.sleep(0.05)")
    thread = threading.Thread(target=runner.train)
    thread.start()
    eventually(lambda: "line 5" in runner.log)
    cluster.drop_log_connections()
    thread.join()
    assert [line for line in runner.log.splitlines() if line.startswith("line")] == [f"line {i}" for i in range(60)]


def test_lines_of_the_same_moment_are_all_kept(cluster, runner, says):
    says("for i in range(3000): print('line', i)")
    runner.train()
    assert [line for line in runner.log.splitlines() if line.startswith("line")] == [f"line {i}" for i in range(3000)]


def test_need_of_more_memory_is_told_with_the_limit(cluster, runner, says):
    says("print('loading')")
    cluster.ended = {"reason": "OOMKilled", "exitCode": 137}
    assert runner.train().exit_code == Exit.INFRASTRUCTURE
    assert "it needed more than its 8Gi of memory" in runner.log


def test_kill_from_outside_can_be_tried_again(cluster, runner, says):
    says("pass")
    cluster.ended = {"reason": "Error", "exitCode": 137}
    assert runner.train().exit_code == Exit.INFRASTRUCTURE
    assert "was ended (from outside" in runner.log


def test_waiting_for_a_node_is_told(cluster, runner, says):
    says(RESULT)
    message = "0/3 nodes are available: 3 Insufficient cpu."
    cluster.waiting = {"conditions": [{"type": "PodScheduled", "status": "False", "message": message}]}
    thread = threading.Thread(target=runner.train)
    thread.start()
    eventually(lambda: message in runner.log)
    cluster.waiting = None
    thread.join()
    assert nothing_left(cluster)


def test_container_that_cannot_be_made_is_given_up(cluster, runner, says):
    says(RESULT)
    state = {"waiting": {"reason": "InvalidImageName", "message": "no such name"}}
    cluster.waiting = {"containerStatuses": [{"name": "step", "state": state}]}
    assert runner.train().exit_code == Exit.INFRASTRUCTURE
    assert "can't start: InvalidImageName: no such name" in runner.log


# Carries out one step as `pipeline run` does, in a process of its own that can be killed.
ALONE = """
import sys
from pathlib import Path
from cli import command_line, run
from tests.integration.kubernetes.test_jobs import Runner
app = command_line("alone", "Carries out a step.", [])
@app.command()
def main(folder: str): Runner(Path(folder)).train()
run(app)
"""


@pytest.fixture
def alone(runner, says, tmp_path):
    def start():
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.Popen([sys.executable, "-c", ALONE, str(tmp_path)], env=environment, cwd=ROOT)

    return start


@pytest.mark.parametrize("ended_meanwhile", [False, True], ids=["running", "ended"])
def test_job_of_a_killed_run_is_found_again(cluster, runner, says, alone, tmp_path, ended_meanwhile):
    go = tmp_path / "go"
    says(waiting_for(go))
    process = alone()
    eventually(lambda: "halfway" in runner.log)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [job["metadata"]["name"] for job in cluster.of_kind("jobs")] == [NAME]
    if ended_meanwhile:
        go.touch()
        eventually(lambda: cluster.of_kind("jobs")[0].get("status"))
    else:
        threading.Timer(1, go.touch).start()
    entry = runner.train()
    assert (entry.exit_code, entry.result) == (0, {"version": 7})
    assert len(cluster.created) == 1
    # The log is whole: the second call brings all of it.
    assert runner.log.count("halfway") == 1
    assert nothing_left(cluster)


def test_abort_removes_the_job(cluster, runner, says, alone):
    says("import time; print('halfway', flush=True); time.sleep(60)")
    process = alone()
    eventually(lambda: "halfway" in runner.log)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert nothing_left(cluster)
    # What ran in it was told to stop.
    eventually(lambda: cluster.processes[f"{NAME}-pod"].poll() is not None)


def test_job_that_somebody_deletes_is_told(cluster, runner, says):
    says("import time; print('halfway', flush=True); time.sleep(60)")
    thread = threading.Thread(target=runner.train)
    thread.start()
    eventually(lambda: "halfway" in runner.log)
    cluster.delete("trainyard-jobs", "jobs", NAME)
    thread.join()
    assert "Somebody has deleted the Job" in runner.log


def test_cluster_that_does_not_answer_is_told(cluster, runner, says):
    cluster.broken = True
    assert runner.train().exit_code == Exit.INFRASTRUCTURE
    assert "kubectl get failed" in runner.log


def test_folders_of_this_machine_are_refused_before_anything_starts(cluster, runner, tmp_path):
    with pytest.raises(UsageError, match="registry as gs://"):
        runner.executor(registry={"uri": str(tmp_path)})
    with pytest.raises(UsageError, match="mount a bucket"):
        runner.executor(dataset={"uri": str(tmp_path)})
    assert not cluster.requests


def test_without_images_of_ones_own_the_way_out_is_named(cluster, tmp_path):
    with pytest.raises(UsageError, match="push-images"):
        Kubernetes(Job(ROOT, settings(), KEY, tmp_path))


@pytest.mark.parametrize("makes", [False, True])
def test_step_without_a_folder_of_its_own_gets_a_job_like_the_others(cluster, runner, says, makes):
    says(RESULT)
    row = replace(TRAIN, name="explain", program="explain_model", makes=makes)
    assert runner.train(row=row).result == {"version": 7}
    (job,) = cluster.created
    assert job["metadata"]["name"] == f"trainyard-{KEY}-explain-model"
    spec = job["spec"]["template"]["spec"]
    assert spec["containers"][0]["image"] == f"{IMAGES}/explain_model:{KEY}"
    assert spec["securityContext"]["runAsNonRoot"] is True
    # Whoever makes a version signs it; nobody else gets the key.
    assert ("private-key" in [volume["name"] for volume in spec["volumes"]]) is makes
    assert nothing_left(cluster)
