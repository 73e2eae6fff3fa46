"""A training run from images to a candidate in the registry: what train and retrain share."""

import base64
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import keras
import numpy as np
from rich.console import Console

from dataset import Dataset, check, lineage, locate, previous, report
from imaging.array import encode_png
from registry import (
    DatasetUsed,
    Golden,
    Keys,
    Metrics,
    MetricsBySplit,
    Record,
    Registry,
    SplitRule,
    Step,
    Verdict,
    utc_now,
)
from training import export
from training.gate import Thresholds, shortfalls
from training.loop import Diverged, Epoch, Weights
from training.options import Options
from training.parameters import Parameters
from training.progress import shown
from training.provenance import EXECUTOR_VARIABLE, code
from training.trials import Trained, quality, search

_GOLDEN_IMAGES = 6
# Part of the time limit that is kept for judging, exporting and publishing.
_RESERVE = 0.05


class Run:
    """One version in the making. `steps` grows as the run goes on."""

    def __init__(self, options: Options, console: Console) -> None:
        self.options = options
        self.console = console
        keys = Keys.of(options.signing_key, options.public_keys, options.registry)
        keys.require()
        self.registry = Registry.open(options.registry, options.model, keys)
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
            self.checked = check(locate(options.dataset), options.checks, before, tell, rules)
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
    ) -> Record:
        """Trains, judges and, past the gate, publishes a version; returns its record, a candidate or rejected.

        `start` is the network of `parent`: training begins with its weights, and its metrics on the same test images
        are the baseline.
        """
        options, first = self.options, trials[0]
        record = self.registry.create(
            "retrain" if parent else "train",
            parent=parent.version if parent else None,
            labels=data.labels,
            image_size=first.network.image_size,
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
            parameters=first.as_dict(),
            reason=options.reason,
        )
        version = record.version
        self.say(f"Training version {version} of {options.model}")
        try:
            report.keep(self.checked, lambda name, content: self.registry.save_report(version, name, content))
            baseline = None
            if start is not None:
                with self.step("baseline"):
                    baseline = quality(start, data, "test")
            with self.step("train"):
                trained = self._search(data, trials, start.get_weights() if start is not None else None)
            return self._conclude(version, data, trained, baseline)
        except Diverged as error:
            return self._reject(version, [f"training failed: {error}; a lower learning rate may help"])
        except BaseException as error:
            # Stopped or broken: the version must not look as if it were still in training.
            with suppress(Exception):
                self._reject(version, [f"the run ended early ({type(error).__name__})"])
            raise

    def _search(self, data: Dataset, trials: Sequence[Parameters], start: Weights | None) -> Trained:
        with shown(self.console, "Training") as tell:

            def watch(trial: int, epoch: Epoch) -> None:
                which = f"network {trial}, " if trial > 1 else ""
                tell(
                    epoch.number,
                    epoch.epochs,
                    f"{which}loss {epoch.loss:.3f}, validation accuracy {epoch.validation_accuracy:.3f}",
                )

            return search(
                trials[: self.options.max_trials],
                data,
                seed=self.options.seed,
                seconds=self.options.max_minutes * 60 * (1 - _RESERVE),
                good_enough=lambda metrics: not shortfalls(metrics, self.thresholds),
                start=start,
                watch=watch,
            )

    def _conclude(self, version: int, data: Dataset, trained: Trained, baseline: Metrics | None) -> Record:
        with self.step("evaluate"):
            test = quality(trained.network, data, "test")
            train = quality(trained.network, data, "train")
        reasons = shortfalls(test, self.thresholds, baseline)
        size = trained.parameters.network.image_size
        self.registry.update(
            version,
            parameters=trained.parameters.as_dict(),
            image_size=size,
            metrics=MetricsBySplit(train=train, validation=trained.validation, test=test, baseline=baseline),
        )
        if reasons:
            return self._reject(version, reasons)
        with tempfile.TemporaryDirectory(prefix="trainyard-") as temporary:
            folder = Path(temporary) / "model"
            with self.step("export"):
                images = data.arrays("validation", size)[0]
                signature = export.export(trained.network, data.labels, folder, self.options.model, images)
                golden = _golden(folder, *data.arrays("test", size))
            self.registry.add_verdict(
                version, Verdict(kind="gate", passed=True, at=utc_now()), signature=signature, golden=golden
            )
            with self.step("publish"):
                self.registry.publish(version, folder)
        return self.registry.update(version, steps=self.steps)

    def _reject(self, version: int, reasons: list[str]) -> Record:
        verdict = Verdict(kind="gate", passed=False, reasons=reasons, at=utc_now())
        return self.registry.add_verdict(version, verdict, state="rejected", steps=self.steps)

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
