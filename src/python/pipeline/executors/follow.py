"""Follows a Kubernetes Job: `python -m pipeline.executors.follow NAMESPACE JOB` prints its log and ends as it ends."""

import subprocess
import sys
import time
from dataclasses import dataclass

from cli import Exit, InfrastructureError
from cluster import Kubectl
from cluster.objects import Condition, Job, Pod, PodStatus, State
from pipeline.children import end_with_parent

_POLL_SECONDS = 1.0
# How long the cluster may not answer, or a container not start, before the step is given up.
PATIENCE_SECONDS = 600.0
# Reasons to wait that time does not mend.
_HOPELESS = ("InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "ErrImageNeverPull")
_KILLED = 137  # 128 + SIGKILL


@dataclass(frozen=True)
class Look:
    """A Job at one moment; `pod` is empty until it has one, `exit_code` None while it runs or where nobody knows it."""

    pod: str = ""
    started: bool = False
    running: bool = True
    exit_code: int | None = None
    # Why it ended if not by itself; while it has not started, what it waits for.
    why: str = ""


class Follower:
    def __init__(self, kubectl: Kubectl, job: str) -> None:
        self.kubectl, self.job = kubectl, job
        # The time of the last line printed, and how many were of that time.
        self._last, self._told_then = "", 0

    def look(self) -> Look:
        """
        Raises:
            InfrastructureError: the cluster can't be asked.
        """
        job = self.kubectl.get("job", self.job)
        if job is None:
            return Look(running=False, why=f"Somebody has deleted the Job {self.job}; start the run again.")
        pods = self.kubectl.items("pods", f"batch.kubernetes.io/job-name={self.job}")
        failed = _failed(job)
        if not pods:
            return _without_pod(failed)
        return _of_pod(max(pods, key=lambda pod: pod["metadata"]["creationTimestamp"]), failed)

    def follow(self) -> Look:
        """Prints the log line by line until the Job has ended.

        Raises:
            InfrastructureError: its container could not start, or the cluster did not answer for a long time.
        """
        told, patience = "", time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                found = self.look()
            except InfrastructureError:
                if time.monotonic() > patience:
                    raise
                time.sleep(_POLL_SECONDS)
                continue
            if found.started:
                patience = time.monotonic() + PATIENCE_SECONDS
                self._print_log(found.pod)
                found = self._now(found)
                if not found.running and found.pod:
                    # The connection may have been lost just before the end.
                    self._print_log(found.pod)
            if not found.running:
                return found
            if not found.started:
                if found.why != told:
                    print(f"Waiting: {found.why}", file=sys.stderr, flush=True)
                    told = found.why
                if found.why.startswith(_HOPELESS):
                    raise InfrastructureError(f"The Job {self.job} can't start: {found.why}.")
            time.sleep(_POLL_SECONDS)

    def _now(self, before: Look) -> Look:
        try:
            return self.look()
        except InfrastructureError:
            return before  # asked again in a moment

    def _print_log(self, pod: str) -> None:
        """All that the pod has said since the last line, until it ends or the connection does."""
        since = ["--since-time", self._last] if self._last else []
        command = self.kubectl.command("logs", pod, "--container", "step", "--follow", "--timestamps", *since)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=end_with_parent
        ) as process:
            assert process.stdout
            before, again = self._last, self._told_then
            for line in process.stdout:
                stamp, _, text = line.partition(b" ")
                at = stamp.decode("ascii", "replace")
                # A second connection begins with what the first one brought; several lines may share a time.
                if at < before:
                    continue
                if at == before and again:
                    again -= 1
                    continue
                self._told_then = self._told_then + 1 if at == self._last else 1
                self._last = at
                sys.stdout.buffer.write(text)
                sys.stdout.buffer.flush()


def _failed(job: Job) -> Condition:
    """Why the Job failed; empty where it did not."""
    for condition in job.get("status", {}).get("conditions", []):
        if (condition["type"], condition["status"]) == ("Failed", "True"):
            return condition
    return {}


def _of_pod(pod: Pod, failed: Condition) -> Look:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    state = _state_of_step(status)
    if ended := state.get("terminated"):
        code = int(ended["exitCode"])
        if ended.get("reason") == "OOMKilled":
            limit = pod["spec"]["containers"][0]["resources"]["limits"]["memory"]
            return Look(
                name,
                True,
                False,
                Exit.INFRASTRUCTURE,
                f"The Job was killed: it needed more than its {limit} of memory. Give it more in "
                "infra/k8s/jobs/step/job.yaml, or train on smaller images.",
            )
        if failed.get("reason") == "DeadlineExceeded":
            return Look(name, True, False, Exit.INFRASTRUCTURE, "The Job took longer than its activeDeadlineSeconds.")
        if code == _KILLED or status.get("reason"):
            why = status.get("message") or status.get("reason") or "from outside, by signal 9"
            return Look(
                name,
                True,
                False,
                Exit.INFRASTRUCTURE,
                f"The Job's pod was ended ({why}).",
            )
        return Look(name, True, False, code)
    if status.get("phase") == "Failed" or failed:
        why = status.get("message") or status.get("reason") or failed.get("message", "the cluster does not say why")
        return Look(name, False, False, Exit.INFRASTRUCTURE, f"The Job's pod could not run: {why}.")
    if "running" in state:
        return Look(name, True)
    waiting = state.get("waiting", {})
    unscheduled = next(
        (
            c.get("message", "")
            for c in status.get("conditions", [])
            if (c["type"], c["status"]) == ("PodScheduled", "False")
        ),
        "",
    )
    why = (
        ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))
        or unscheduled
        or "its pod is being made"
    )
    return Look(name, why=why)


def _state_of_step(status: PodStatus) -> State:
    for container in status.get("containerStatuses", []):
        if container["name"] == "step":
            return container["state"]
    return {}


def _without_pod(failed: Condition) -> Look:
    if failed:
        return Look(
            running=False,
            exit_code=Exit.INFRASTRUCTURE,
            why=f"The Job failed: {failed.get('message') or failed.get('reason')}.",
        )
    return Look(why="it has no pod yet")


def main() -> None:
    namespace, job = sys.argv[1:]
    try:
        found = Follower(Kubectl(namespace), job).follow()
    except InfrastructureError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    sys.exit(Exit.INFRASTRUCTURE if found.exit_code is None else found.exit_code)


if __name__ == "__main__":
    main()
