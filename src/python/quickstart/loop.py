"""The loop: train, test, promote, serve, new data, retrain, promote under traffic, roll back."""

import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import BaseModel
from rich.console import Console

from cli import Bug, DataRefused, Exit, GateNotPassed, TrainyardError
from contracts.record import Metrics, Record
from dataset import Dataset
from pipeline import pipelines
from pipeline.executors import Modules
from pipeline.runner import Run, said
from quickstart.data import GrowingDataset
from quickstart.stages import Done, Stages
from quickstart.traffic import Traffic, classify_over_rest
from registry import Registry
from serving.client import Client
from serving.pod import LocalPod
from settings import Settings

TOTAL_STAGES = 9
_ASKED = 6


@dataclass
class Story:
    """What happened."""

    folder: Path
    model: str
    stages: list[Done]
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    promoted: list[int] = field(default_factory=list)
    rolled_back: int | None = None
    served: dict[int, int] = field(default_factory=dict)
    metrics: Metrics | None = None
    reports: dict[int, str] = field(default_factory=dict)
    mails: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        return {
            "model": self.model,
            "requests": self.requests,
            "failed_requests": len(self.failures),
            "promoted": self.promoted,
            "rolled_back": self.rolled_back,
            "accuracy": self.metrics.accuracy if self.metrics else None,
            "per_class": {k: v.model_dump() for k, v in self.metrics.per_class.items()} if self.metrics else {},
            "stages": [asdict(stage) for stage in self.stages],
            "registry": str(self.folder / "registry"),
        }


class _Answer(BaseModel):
    """What the story needs of what a command prints."""

    mail: str | None = None
    rolled_back_to: int | None = None


class Loop:
    """Runs the stages in `folder`; the servers it starts are stopped by `close`."""

    def __init__(self, folder: Path, source: Path | None, settings: Settings, gates: list[str], console: Console):
        self.folder = folder
        self.settings = settings.model_copy(
            update={
                "registry": settings.registry.model_copy(update={"uri": str(folder / "registry")}),
                "dataset": settings.dataset.model_copy(update={"uri": str(folder / "dataset")}),
                "mail": settings.mail.model_copy(update={"outbox": str(folder / "outbox"), "smtp_host": ""}),
            }
        )
        self._gates = gates
        self._data = GrowingDataset(folder / "dataset", source, settings.dataset.max_unreadable)
        self._stages = Stages(console, TOTAL_STAGES)
        self.registry = Registry.open(self.settings.registry.uri, settings.model.name)
        self.story = Story(folder, settings.model.name, self._stages.done)
        self.pod = LocalPod(self.registry.models_config("production"), settings.model.name, folder / "logs")

    def close(self) -> None:
        self.pod.stop()

    def run(self) -> Story:
        stage = self._stages.stage
        with stage("dataset", "collecting images") as now:
            data = self._data.begin()
            now.say(f"{len(data.images)} images in {len(data.labels)} classes: {', '.join(data.labels)}")
        with stage("train", "a first model: train, gate, save, test in a clone of production, mail") as now:
            first = self._make("train", "first model of the quickstart")
            now.say(_about(first))
        with stage("promote", "testing -> production") as now:
            self._promote(first.version, "first model", [])
            now.say(f"version {first.version} is the production model")
        with stage("serve", "model server and adapter") as now:
            self.pod.start()
            now.say(f"gRPC on {self.pod.address}, REST and page on {self.pod.url}")
        with stage("classify", "held-out images over gRPC and REST") as now:
            images = [image.path.read_bytes() for image in data.images if image.split == "test"]
            now.say(self._classify(data))
        with stage("new data", "images arrive") as now:
            before = len(data.images)
            grown = self._data.grow()
            after = len(grown.images)
            if grown.fingerprint == data.fingerprint:
                raise DataRefused("No image is left to arrive later, so nothing would be retrained; name more images.")
            now.say(f"{after - before} new images, {after} in all: the dataset's fingerprint changed, so: retrain")
        with stage("retrain", "production's model on the grown dataset: retrain, gate, save, test, mail") as now:
            second = self._make("retrain", f"the dataset grew from {before} to {after} images")
            now.say(_about(second))
        with Traffic(self.pod.address, self.pod.url, images[:20]) as traffic:
            with stage("promote", "the new version takes over while requests run") as now:
                asked = traffic.requests
                self._promote(second.version, "retrained on new data", [self.pod.address])
                now.say(f"version {second.version} took over; {traffic.requests - asked} requests meanwhile")
            with stage("rollback", "back to the version before, while requests run") as now:
                asked = traffic.requests
                reason = ["--reason", "shown by the quickstart", "--approver", "quickstart", "--yes"]
                result = self._command("promote", "rollback", *reason, *self._place())
                self.story.mails += [result.mail] if result.mail else []
                back = self.story.rolled_back = result.rolled_back_to
                with Client(self.pod.address) as client:
                    answered = client.classify(images[0]).version
                if answered != back:
                    raise Bug(f"Version {answered} answers after the rollback to version {back}.")
                now.say(f"version {back} serves again; {traffic.requests - asked} requests meanwhile")
        self.story.requests += traffic.requests
        self.story.failures += traffic.failures
        self.story.failures += [f"no answer over {p}" for p in ("gRPC", "REST") if not traffic.answered_over[p]]
        for version, count in traffic.answered_by.items():
            self.story.served[version] = self.story.served.get(version, 0) + count
        self.story.metrics = second.metrics.test
        return self.story

    def _make(self, name: str, reason: str) -> Record:
        """Trains or retrains through the pipeline, as a push would; the model has passed its tests on return."""
        run = Run(self.folder / "runs", name, {"plan": {"pipeline": name, "reason": reason}}, lambda text: None)
        extra = dict.fromkeys(("train", "retrain", "test"), self._gates)
        outcome = pipelines.carry_out(name, run, Modules(), self.settings, reason, extra)
        run.end(outcome.exit_code or Exit.OK)
        if outcome.mail:
            self.story.mails.append(outcome.mail)
        if outcome.exit_code != Exit.OK or outcome.version is None:
            raise self._failure(run, outcome.exit_code or Exit.BUG)
        self.story.reports[outcome.version] = run.state.steps[-1].said.report
        return self.registry.record(outcome.version)

    def _failure(self, run: Run, exit_code: int) -> TrainyardError:
        last = run.state.steps[-1]
        sentence = said(Path(last.log))
        if exit_code == Exit.GATE:
            return GateNotPassed(sentence)
        failure = Bug(f"{sentence} (log: {last.log})")
        failure.exit_code = Exit(exit_code) if exit_code in set(Exit) else Exit.INFRASTRUCTURE
        return failure

    def _promote(self, version: int, reason: str, pods: list[str]) -> None:
        arguments = ["--version", str(version), "--yes", "--approver", "quickstart", "--reason", reason]
        result = self._command("promote", "run", *arguments, *self._place(pods))
        self.story.promoted.append(version)
        self.story.mails += [result.mail] if result.mail else []

    def _place(self, pods: list[str] | None = None) -> list[str]:
        chosen = [self.pod.address] if pods is None else pods
        pod_flags = [part for pod in chosen for part in ("--pod", pod)]
        return ["--registry", self.settings.registry.uri, "--model", self.settings.model.name, *pod_flags, "--json"]

    def _command(self, module: str, *arguments: str) -> "_Answer":
        log = self.folder / "logs" / f"{module}-{arguments[0]}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stderr:
            result = subprocess.run(
                [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, stderr=stderr, env=os.environ
            )
        if result.returncode:
            failure = Bug(f"{said(log)} (log: {log})")
            failure.exit_code = Exit(result.returncode) if result.returncode in set(Exit) else Exit.INFRASTRUCTURE
            raise failure
        return _Answer.model_validate_json(result.stdout.decode().strip().splitlines()[-1])

    def _classify(self, data: Dataset) -> str:
        chosen = [image for image in data.images if image.split == "test"]
        chosen = chosen[:: max(1, len(chosen) // _ASKED)][:_ASKED]
        right = 0
        with Client(self.pod.address) as client:
            for image in chosen:
                content = image.path.read_bytes()
                over_grpc = client.classify(content)
                over_rest, version = classify_over_rest(self.pod.url, content)
                if over_grpc.label != over_rest:
                    raise Bug(f"{image.path} is '{over_grpc.label}' over gRPC and '{over_rest}' over REST.")
                right += over_grpc.label == image.label
                self.story.served[version] = self.story.served.get(version, 0) + 2
                self.story.requests += 2
        return f"{right} of {len(chosen)} held-out images right, the same over gRPC and REST"


def _about(record: Record) -> str:
    test = record.metrics.test
    if test is None:
        return f"version {record.version}"
    recalls = ", ".join(f"{label} {figures.recall:.2f}" for label, figures in test.per_class.items())
    return f"version {record.version}: accuracy {test.accuracy:.3f} on {test.images} held-out images (recall {recalls})"
