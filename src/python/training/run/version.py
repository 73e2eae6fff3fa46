"""One version in the making, from images to a candidate in the registry: what train and retrain share."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial

import keras
from rich.console import Console

from cli import DataRefused, InfrastructureError, TrainyardError, UsageError
from cli.progress import Tell, shown
from contracts.about import of_record
from contracts.record import InputUsed, MetricsBySplit, Record, Step, Verdict
from dataset import Dataset, Sides, examine, lineage, previous, report
from evaluation import report as evaluation
from imaging import ImageInput
from models import concerning
from registry import Keys, Registry, utc_now
from training.commands.options import Options
from training.family import Family, Pretrained
from training.loop import Diverged, Epoch, Predictor
from training.networks.own import BadNetwork
from training.parameters import Parameters
from training.run.answers import Answers, answers_of
from training.run.assessment import assess
from training.run.checkpoints import Checkpoints
from training.run.gate import Thresholds, decide, shortfalls
from training.run.held_out import times_judged
from training.run.identity import identity, run_folder
from training.run.interruption import Termination, interrupted_by
from training.run.provenance import EXECUTOR_VARIABLE, awaits, checked, provenance
from training.run.publishing import card_of, export_once, golden_of
from training.run.search import Budget, Search, Trained
from training.state import Weights
from training.team import Team

# Part of the time limit that is left for evaluating, exporting and publishing.
_RESERVE = 0.05


class Run:
    """One version in the making. `steps` grows as the run goes on."""

    def __init__(self, options: Options, console: Console, team: Team | None = None) -> None:
        self.options = options
        self.console = console
        keys = Keys.of(options.signing_key, options.public_keys, options.registry)
        self.registry = Registry.open(options.registry, options.model.name, keys)
        self.registry.require_writable()
        keys.require()
        self.team = team or Team()
        self.thresholds = Thresholds(options.min_accuracy, options.min_recall, options.tolerance)
        self.steps: list[Step] = []

    def say_notes(self) -> None:
        """What of the model's files whoever runs this may not expect."""
        for note in concerning(self.options.model.notes, "dataset", "gates", "mail"):
            self.say(note)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started, clock = utc_now(), time.monotonic()
        yield
        seconds = round(time.monotonic() - clock, 3)
        self.steps.append(Step(name=name, started=started, ended=utc_now(), seconds=seconds))

    def scan(self, parent: Record | None = None, sides: Sides | None = None) -> Dataset:
        """The dataset, held against that of `parent`, or else of what it would replace.

        `sides` tells which image is on which side of the split; by default those of the same version do.

        Raises:
            DataRefused: nothing can be learnt from the dataset as it is.
        """
        options = self.options
        before = previous.of_record(parent) if parent else previous.of_registry(self.registry)
        rules = lineage(options.split, previous.rules_of(parent) if parent else ())
        known = sides or previous.sides_to_fit(self.registry, options.split, parent)
        with self.step("scan"), shown(self.console, "Checking images") as tell:
            self.checked = examine(
                options.dataset, options.checks, before, tell, rules, known=known, wanted=options.model.input
            )
        # The first refusal is the error that the command ends with.
        for finding in [one for one in self.checked.findings if one not in self.checked.refused[:1]]:
            self.say(f"Dataset: {finding.message}")
        data = self.checked.require()
        self.say(f"{len(data.images)} images: " + ", ".join(f"{n} {label}" for label, n in data.counts().items()))
        return data

    def make(
        self,
        family: Family,
        data: Dataset,
        trials: Sequence[Parameters],
        parent: Record | None = None,
        start: keras.Model | None = None,
        pretrained: Pretrained | None = None,
    ) -> Record:
        """Trains, evaluates and, past the gate, publishes a version; returns its record, a candidate or rejected.

        One that awaits its run's checks is published and stays in training.

        `start` is the network of `parent`: training begins with its weights, and its answers to the same test images
        are the baseline. `pretrained` are weights to begin with instead. An interrupted run of the same kind is
        resumed.

        Raises:
            InfrastructureError: stopped, or out of disk or of company; the same command resumes the run.
        """
        record, checkpoints = self._begin(family, data, trials, parent, pretrained)
        version = record.version
        try:
            with Termination() as termination:
                baseline = None
                if start is not None:
                    with self.step("baseline"):
                        baseline = answers_of(Predictor(start), trials[0].input, data, "test")
                with self.step("train"):
                    weights = (
                        start.get_weights() if start is not None else self._begun(family, data, trials[0], pretrained)
                    )
                    trained = self._search(family, data, trials, weights, checkpoints, termination)
                record = self._conclude(version, data, trained, baseline, checkpoints)
        except Diverged as error:
            record = self._reject(version, [f"training failed: {error}; a lower learning rate may help"])
        except BadNetwork as error:
            self._reject(version, [str(error)])
            checkpoints.clear()
            raise UsageError(str(error)) from None
        except KeyboardInterrupt:
            self.say(f"Version {version} can be resumed: run the same command again")
            raise
        except BaseException as error:
            if why := interrupted_by(error, self.team):
                raise InfrastructureError(
                    f"{why}; version {version} can be resumed: run the same command again."
                ) from None
            # Broken: the version must not look as if it were still in training.
            with suppress(Exception):
                self._reject(version, [f"the run ended early ({type(error).__name__})"])
                checkpoints.clear()
            raise
        finally:
            checkpoints.close()
        checkpoints.clear()
        return record

    def assist(self, family: Family, data: Dataset) -> None:
        """Trains along in a process that is not the chief of its team."""
        with Termination():
            try:
                self._searching(family, data, lambda: False).assist()
            except ValueError as error:
                raise DataRefused(f"Process {self.team.place} can't take part in the training: {error}.") from None
            except Exception as error:
                if why := interrupted_by(error, self.team):
                    raise InfrastructureError(f"{why}; start all processes again.") from None
                raise

    def _begin(
        self,
        family: Family,
        data: Dataset,
        trials: Sequence[Parameters],
        parent: Record | None,
        pretrained: Pretrained | None,
    ) -> tuple[Record, Checkpoints]:
        options, folder = self.options, run_folder(self.options)
        key = identity(options, family, data, trials, parent, pretrained.digest if pretrained else None)
        # A candidate too: the run may have been interrupted between publishing it and saying so.
        waiting = [record for record in self.registry.records() if record.state in ("training", "candidate")]
        versions = [record.version for record in reversed(waiting)]
        checkpoints = Checkpoints.resumed(self.registry.store, folder, versions, key)
        if checkpoints is not None:
            record = self._begun_again(checkpoints.version)
            self.steps = list(record.steps)
            self.say(f"Resuming version {record.version} of {record.model}, which was interrupted")
            return record, checkpoints
        made_by = provenance()
        if made_by.no_commit:
            self.say(f"No commit is recorded for this version: {made_by.no_commit}")
        record = self.registry.create(
            "retrain" if parent else "train",
            parent=parent.version if parent else None,
            labels=data.labels,
            **_of_input(trials[0].input),
            task=options.model.task,
            code=made_by.code,
            checked=checked(),
            awaits=awaits(),
            executor=os.environ.get(EXECUTOR_VARIABLE, "local"),
            arguments=options.arguments,
            dataset=data.used(options.dataset),
            seed=options.seed,
            parameters=trials[0].as_dict(),
            reason=options.reason,
        )
        version = record.version
        self.say(f"Training version {version} of {record.model}")
        checkpoints = Checkpoints(self.registry.store, folder, version, key)
        report.keep(self.checked, lambda name, content: self.registry.save_report(version, name, content))
        return record, checkpoints

    def _begun_again(self, version: int) -> Record:
        """The record of a version that is resumed: whoever resumes it decides whether it awaits checks."""

        def by_this_call(record: Record) -> dict[str, object]:
            if record.state != "training":
                return {}
            return {"awaits": awaits(), "checked": record.checked and checked()}

        return self.registry.change(version, by_this_call)

    def _begun(
        self, family: Family, data: Dataset, parameters: Parameters, pretrained: Pretrained | None
    ) -> Weights | None:
        """All weights to begin with, of which `pretrained` has most."""
        if pretrained is None:
            return None
        keras.utils.set_random_seed(self.options.seed)
        network = family.build(parameters.network, parameters.input, len(data.labels))
        pretrained.put_into(network)
        return network.get_weights()

    def _searching(self, family: Family, data: Dataset, stop: Callable[[], bool], tell: Tell | None = None) -> Search:
        def watch(trial: int, epoch: Epoch, seconds_left: float) -> None:
            which = f"network {trial}, " if trial > 1 else ""
            detail = f"{which}loss {epoch.loss:.3f}, validation accuracy {epoch.validation_accuracy:.3f}"
            if tell is not None:
                tell(epoch.number, epoch.epochs, detail, seconds_left)

        return Search(family, data, self.team, self.options.seed, stop, watch)

    def _search(
        self,
        family: Family,
        data: Dataset,
        trials: Sequence[Parameters],
        start: Weights | None,
        checkpoints: Checkpoints,
        termination: Termination,
    ) -> Trained:
        options = self.options
        budget = Budget(options.max_trials, options.max_minutes * 60 * (1 - _RESERVE), options.tune)
        with shown(self.console, "Training") as tell:
            termination.defer()
            search = self._searching(family, data, termination.asked, tell)
            trained = search.lead(
                trials, budget, lambda found: not shortfalls(found, self.thresholds), checkpoints, start
            )
            termination.resume()
        return trained

    def _conclude(
        self, version: int, data: Dataset, trained: Trained, baseline: Answers | None, checkpoints: Checkpoints
    ) -> Record:
        image, network = trained.parameters.input, trained.network
        before = baseline.metrics() if baseline else None
        with self.step("evaluate"):
            # For all of them, as tracing it anew takes as long as many answers.
            predict = Predictor(network)
            test = answers_of(predict, image, data, "test")
            train = answers_of(predict, image, data, "train").metrics()
            chosen = next(trial for trial in trained.trials if trial.chosen)
            assessed = assess(predict, image, data, test, before, chosen, self.options.seed)
        decision = decide(test, self.thresholds, baseline)
        if baseline is None:
            self._say_there_is_no_baseline()
        record = self.registry.record(version)
        record = self.registry.update(
            version,
            evaluation=evaluation.summary(assessed),
            parameters=trained.parameters.as_dict(),
            **_of_input(image),
            metrics=MetricsBySplit(train=train, validation=trained.validation, test=assessed.metrics, baseline=before),
            trials=trained.trials,
            held_out=data.held_out,
            judged=times_judged(record, data.held_out, self.registry.records()),
        )
        save = partial(self.registry.save_report, version)
        self.say(f"Report: {evaluation.save(save, record, assessed, decision.reasons)}")
        # What the tests of this version may be held to differs: they name both.
        gates = {"min_accuracy": self.thresholds.min_accuracy, "min_recall": self.thresholds.min_recall}
        details: dict[str, object] = {"baseline": record.parent, "gates": gates}
        if decision.allowed_for_chance:
            details["allowed_for_chance"] = decision.allowed_for_chance
        if decision.reasons:
            return self._reject(version, decision.reasons, details | {"parent_stays": decision.parent_stays})
        with self.step("export"):
            folder = checkpoints.model
            about = of_record(record, card_of(self.options.model))
            signature = export_once(network, image, data, assessed.temperature, record.model, folder, about)
            golden = golden_of(folder, *data.arrays("test", image))
        if not record.verdicts:
            verdict = Verdict(kind="gate", passed=True, at=utc_now(), details=details)
            record = self.registry.add_verdict(version, verdict, signature=signature, golden=golden)
        if record.state == "training":
            with self.step("publish"):
                self.registry.publish(version, folder)
        return self.registry.update(version, steps=self.steps)

    def _say_there_is_no_baseline(self) -> None:
        stable = None
        with suppress(TrainyardError):  # a sentence is no reason to lose what was trained
            stable = self.registry.serving().stable
        if stable is None:
            self.say("Nothing is in production to compare with, so the gate alone decides")
        else:
            self.say(
                "`train` compares with no other model: the gate alone decides here. The tests compare it with version "
                f"{stable}, which is in production"
            )

    def _reject(self, version: int, reasons: list[str], details: dict[str, object] | None = None) -> Record:
        verdict = Verdict(kind="gate", passed=False, reasons=reasons, at=utc_now(), details=details)
        return self.registry.add_verdict(version, verdict, state="rejected", steps=self.steps, awaits="")

    def warn(self, text: str) -> None:
        self.console.print(f"WARNING: {text}", markup=False, soft_wrap=True, style="bold yellow")

    def say(self, text: str) -> None:
        # Names of folders and classes may hold [brackets], which Rich would take for markup.
        self.console.print(text, markup=False, soft_wrap=True)


def _of_input(image: ImageInput) -> dict[str, object]:
    """What a record says about a version's input."""
    return {"image_size": image.size, "input": InputUsed(**asdict(image))}
