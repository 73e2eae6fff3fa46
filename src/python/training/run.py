"""A training run from images to a candidate in the registry: what train and retrain share."""

import base64
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console

from cli import DataRefused, InfrastructureError, TrainyardError
from cli.progress import Tell, shown
from contracts.record import DatasetUsed, Golden, Metrics, MetricsBySplit, Record, SplitRule, Step, Verdict
from dataset import Dataset, check, lineage, locate, previous, report
from evaluation import report as evaluation
from imaging import ImageInput
from imaging.array import encode_png
from registry import Keys, Registry, utc_now
from training import export
from training.account import account
from training.backbone import Backbone
from training.gate import Thresholds, parent_is_better, shortfalls
from training.kept import Kept
from training.loop import Diverged, Epoch
from training.model import build
from training.options import Options
from training.parameters import Parameters
from training.provenance import EXECUTOR_VARIABLE, code
from training.resuming import cut_off, identity, run_folder
from training.state import Weights
from training.team import Team
from training.termination import Termination
from training.trials import Budget, Search, Trained, quality

_GOLDEN_IMAGES = 6
# Part of the time limit that is kept for judging, exporting and publishing.
_RESERVE = 0.05


class Run:
    """One version in the making. `steps` grows as the run goes on."""

    def __init__(self, options: Options, console: Console, team: Team | None = None) -> None:
        self.options = options
        self.console = console
        keys = Keys.of(options.signing_key, options.public_keys, options.registry)
        keys.require()
        self.registry = Registry.open(options.registry, options.model, keys)
        self.team = team or Team()
        self.thresholds = Thresholds(options.min_accuracy, options.min_recall, options.tolerance)
        self.steps: list[Step] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started, clock = utc_now(), time.monotonic()
        yield
        seconds = round(time.monotonic() - clock, 3)
        self.steps.append(Step(name=name, started=started, ended=utc_now(), seconds=seconds))

    def scan(self, parent: Record | None = None) -> Dataset:
        """The dataset, held against that of `parent`, or else of what it would replace.

        Raises:
            DataRefused: nothing can be learnt from the dataset as it is.
        """
        options = self.options
        before = previous.of_record(parent) if parent else previous.of_registry(self.registry)
        rules = lineage(options.split, previous.rules_of(parent) if parent else ())
        with self.step("scan"), shown(self.console, "Checking images") as tell:
            self.checked = check(locate(options.dataset, tell), options.checks, before, tell, rules)
        for finding in self.checked.findings:
            self.say(f"Dataset: {finding.message}")
        data = self.checked.require()
        self.say(f"{len(data.images)} images: " + ", ".join(f"{n} {label}" for label, n in data.counts().items()))
        return data

    def make(
        self,
        data: Dataset,
        trials: Sequence[Parameters],
        parent: Record | None = None,
        start: keras.Model | None = None,
        backbone: Backbone | None = None,
    ) -> Record:
        """Trains, judges and, past the gate, publishes a version; returns its record, a candidate or rejected.

        `start` is the network of `parent`: training begins with its weights, and its metrics on the same test images
        are the baseline. `backbone` is what trials on a backbone begin with instead. A run of the same kind that was
        cut off is gone on with.

        Raises:
            InfrastructureError: stopped, or out of disk or of company; the same command goes on from there.
        """
        record, kept = self._begin(data, trials, parent, backbone)
        version = record.version
        try:
            with Termination() as termination:
                baseline = None
                if start is not None:
                    with self.step("baseline"):
                        baseline = quality(start, data, "test")
                with self.step("train"):
                    weights = start.get_weights() if start is not None else self._backed(data, trials[0], backbone)
                    trained = self._search(data, trials, weights, kept, termination)
                record = self._conclude(version, data, trained, baseline, kept)
        except Diverged as error:
            record = self._reject(version, [f"training failed: {error}; a lower learning rate may help"])
        except KeyboardInterrupt:
            self.say(f"Version {version} is kept: the same command goes on with it")
            raise
        except BaseException as error:
            if why := cut_off(error, self.team):
                raise InfrastructureError(
                    f"{why}; version {version} is kept: the same command goes on with it."
                ) from None
            # Broken: the version must not look as if it were still in training.
            with suppress(Exception):
                self._reject(version, [f"the run ended early ({type(error).__name__})"])
                kept.clear()
            raise
        finally:
            kept.close()
        kept.clear()
        return record

    def assist(self, data: Dataset) -> None:
        """Trains along in a process that is not the chief of its team."""
        with Termination():
            try:
                self._searching(data, lambda: False).assist()
            except ValueError as error:
                raise DataRefused(f"Process {self.team.place} can't train along: {error}.") from None
            except Exception as error:
                if why := cut_off(error, self.team):
                    raise InfrastructureError(f"{why}; start all processes again.") from None
                raise

    def _begin(
        self, data: Dataset, trials: Sequence[Parameters], parent: Record | None, backbone: Backbone | None
    ) -> tuple[Record, Kept]:
        options, folder = self.options, run_folder(self.options)
        key = identity(options, data, trials, parent, backbone.digest if backbone else None)
        # A candidate too: the run may have been cut off between publishing it and saying so.
        waiting = [record for record in self.registry.records() if record.state in ("training", "candidate")]
        versions = [record.version for record in reversed(waiting)]
        kept = Kept.resumed(self.registry.store, folder, versions, key)
        if kept is not None:
            record = self.registry.record(kept.version)
            self.steps = list(record.steps)
            self.say(f"Going on with version {record.version} of {options.model}, which was cut off")
            return record, kept
        record = self.registry.create(
            "retrain" if parent else "train",
            parent=parent.version if parent else None,
            labels=data.labels,
            image_size=trials[0].network.image_size,
            code=code(),
            executor=os.environ.get(EXECUTOR_VARIABLE, "local"),
            arguments=options.arguments,
            dataset=DatasetUsed(
                uri=options.dataset,
                fingerprint=data.fingerprint,
                images=len(data.images),
                classes=data.counts(),
                statistics=data.statistics,
                splits=[SplitRule(test=rule.test, validation=rule.validation) for rule in data.rules],
            ),
            seed=options.seed,
            parameters=trials[0].as_dict(),
            reason=options.reason,
        )
        version = record.version
        self.say(f"Training version {version} of {options.model}")
        kept = Kept(self.registry.store, folder, version, key)
        report.keep(self.checked, lambda name, content: self.registry.save_report(version, name, content))
        return record, kept

    def _backed(self, data: Dataset, parameters: Parameters, backbone: Backbone | None) -> Weights | None:
        """All weights to begin with, of which `backbone` has most."""
        if backbone is None:
            return None
        keras.utils.set_random_seed(self.options.seed)
        network = build(parameters.network, len(data.labels))
        backbone.put_into(network)
        return network.get_weights()

    def _searching(self, data: Dataset, stop: Callable[[], bool], tell: Tell | None = None) -> Search:
        def watch(trial: int, epoch: Epoch) -> None:
            which = f"network {trial}, " if trial > 1 else ""
            detail = f"{which}loss {epoch.loss:.3f}, validation accuracy {epoch.validation_accuracy:.3f}"
            if tell is not None:
                tell(epoch.number, epoch.epochs, detail)

        return Search(data, self.team, self.options.seed, stop, watch)

    def _search(
        self, data: Dataset, trials: Sequence[Parameters], start: Weights | None, kept: Kept, termination: Termination
    ) -> Trained:
        options = self.options
        budget = Budget(options.max_trials, options.max_minutes * 60 * (1 - _RESERVE), options.tune)
        with shown(self.console, "Training") as tell:
            termination.defer()
            search = self._searching(data, termination.asked, tell)
            trained = search.lead(trials, budget, lambda found: not shortfalls(found, self.thresholds), kept, start)
            termination.resume()
        return trained

    def _conclude(self, version: int, data: Dataset, trained: Trained, baseline: Metrics | None, kept: Kept) -> Record:
        with self.step("evaluate"):
            test = quality(trained.network, data, "test")
            train = quality(trained.network, data, "train")
            chosen = next(trial for trial in trained.trials if trial.chosen)
            judged = account(trained.network, data, test, baseline, chosen, self.options.seed)
        reasons = shortfalls(test, self.thresholds, baseline)
        if baseline is None:
            self._tell_of_no_baseline()
        better = baseline and parent_is_better(test, baseline, self.thresholds)
        if better:
            reasons.insert(0, better)
        size = trained.parameters.network.image_size
        record = self.registry.update(
            version,
            evaluation=evaluation.summary(judged),
            parameters=trained.parameters.as_dict(),
            image_size=size,
            metrics=MetricsBySplit(train=train, validation=trained.validation, test=test, baseline=baseline),
            trials=trained.trials,
        )
        saved = evaluation.save(partial(self.registry.save_report, version), record, judged, reasons)
        self.say(f"Report: {saved}")
        if reasons:
            return self._reject(version, reasons, {"kept": record.parent} if better else None)
        with self.step("export"):
            signature = self._export(data, trained, judged.temperature, kept)
            golden = _golden(kept.model, *data.arrays("test", size))
        if not record.verdicts:
            verdict = Verdict(kind="gate", passed=True, at=utc_now(), details={"baseline": record.parent})
            record = self.registry.add_verdict(version, verdict, signature=signature, golden=golden)
        if record.state == "training":
            with self.step("publish"):
                self.registry.publish(version, kept.model)
        return self.registry.update(version, steps=self.steps)

    def _tell_of_no_baseline(self) -> None:
        stable = None
        with suppress(TrainyardError):  # a sentence is no reason to lose what was trained
            stable = self.registry.serving().stable
        if stable is None:
            self.warn("There is no model to compare with: this one is held against the thresholds alone")
        else:
            self.say(
                "`train` compares with no model: this one is held against the thresholds alone, and its tests "
                f"compare it with version {stable}, which is in production"
            )

    def _export(self, data: Dataset, trained: Trained, temperature: float, kept: Kept) -> dict[str, Any]:
        """Writes the model that will be published once and for all: two exports differ, if only in their names."""
        images = data.arrays("validation", trained.parameters.network.image_size)[0]
        if kept.model.is_dir():
            return export.signature(trained.network, data.labels)
        draft = kept.folder / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        image = ImageInput(trained.network.input_shape[1], trained.network.input_shape[3])
        signature = export.export(trained.network, data.labels, draft, self.options.model, images, image, temperature)
        draft.rename(kept.model)
        return signature

    def _reject(self, version: int, reasons: list[str], details: dict[str, Any] | None = None) -> Record:
        verdict = Verdict(kind="gate", passed=False, reasons=reasons, at=utc_now(), details=details)
        return self.registry.add_verdict(version, verdict, state="rejected", steps=self.steps)

    def warn(self, text: str) -> None:
        self.console.print(f"WARNING: {text}", markup=False, soft_wrap=True, style="bold yellow")

    def say(self, text: str) -> None:
        # Names of folders and classes may hold [brackets], which Rich would take for markup.
        self.console.print(text, markup=False, soft_wrap=True)


def _golden(folder: Path, pixels: np.ndarray, truth: np.ndarray) -> list[Golden]:
    """Some test images, of every class in turn, with what the SavedModel in `folder` answers."""
    by_class = [list(np.flatnonzero(truth == label)) for label in np.unique(truth)]
    turns = [places[turn] for turn in range(_GOLDEN_IMAGES) for places in by_class if turn < len(places)]
    chosen = pixels[turns[:_GOLDEN_IMAGES]]
    return [
        Golden(image=base64.b64encode(encode_png(image)).decode(), probabilities=[float(p) for p in answer])
        for image, answer in zip(chosen, export.answers(folder, chosen), strict=True)
    ]
