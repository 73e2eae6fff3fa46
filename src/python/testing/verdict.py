"""From a version to its verdict: clone up, tests run, clone down, everything kept in the registry."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import inspection
from cli import InfrastructureError
from comparison import history
from contracts.about import of_record
from contracts.classes import same_classes
from contracts.record import Record
from contracts.verdict import JudgedOn, ModelVerdict
from registry import Registry
from serving.client import Client
from serving.pod import PodFailed
from serving.pod.guard import Guard
from testing import clone, held_out, keeping, unserved
from testing.clone import Place
from testing.collector import Progress
from testing.run import run
from testing.subject import Budget, Subject, input_of

# Set by whoever starts this program in a container.
_EXECUTOR_VARIABLE = "TRAINYARD_EXECUTOR"


def make(
    registry: Registry,
    record: Record,
    dataset: str,
    max_unreadable: float,
    budget: Budget,
    place: Place,
    own: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = lambda *_: None,
    index: str | None = None,
) -> ModelVerdict:
    """Tests `record` and keeps the verdict: in the record, and as page, JSON and JUnit XML among its reports.

    `own` is a folder of model tests beside the common ones, `index` is [dataset] index of the settings. A candidate
    becomes tested or rejected; a version that is or was in production keeps its state. What the inspection finds is
    rejected before anything loads it. A clone that fails is brought up once more; what then still fails is the model's
    fault if the model can be named as the cause, and no verdict otherwise.

    Raises:
        BrokenTests: tests went wrong by themselves and found nothing against the model; there is no verdict then.
        Tampered: a file of the model is not the one that was published.
        DataRefused: the dataset can't be used, or has no held-out image of a class.
        InfrastructureError: the clone did not come up, or stopped answering; there is no verdict then.
    """
    baseline = _baseline(registry, record)
    images = held_out.opened(registry, dataset, max_unreadable, record, baseline, index)
    asked = held_out.chosen(images, dataset, record)
    with _folder(registry.model) as folder:
        junit = folder / "junit.xml"
        clone.fetch(registry, [record.version, *([baseline.version] if baseline else [])], folder)

        def trial() -> ModelVerdict:
            pod = clone.make(registry.model, record.version, baseline.version if baseline else None, folder, place)
            with pod, Client(pod.address) as client:
                try:
                    subject = Subject(client, pod, record, baseline, asked, budget, say)
                    return run(subject, junit, own=own, progress=progress)
                except InfrastructureError:
                    pod.check()  # which program ended, and why, says more than that nobody answers
                    raise

        problems = inspection.problems(
            folder / registry.model / str(record.version), record.labels, input_of(record), of_record(record)
        )
        if problems:
            made = unserved.verdict(record, baseline, "inspection", problems, junit)
        else:
            made = _judge(trial, record, baseline, junit, say)
            made = made.model_copy(update={"model_server": place.model_server})
        judged_on = JudgedOn(uri=dataset, fingerprint=images.fingerprint)
        made = _with_origins(made, record, baseline, judged_on, budget, place)
        return keeping.save(registry, record, made, junit)


def _baseline(registry: Registry, record: Record) -> Record | None:
    """Production's version, where it is another one and answers with the same classes: else nothing can be compared."""
    stable = registry.serving().stable
    if stable is None or stable == record.version:
        return None
    baseline = registry.record(stable)
    return baseline if same_classes(baseline.labels, record.labels) else None


@contextmanager
def _folder(model: str) -> Iterator[Path]:
    """Where the clone's files lie: copies of models, and the servers' logs.

    The copies are large: neither an error nor a kill leaves them behind. Logs stay where the clone failed and has
    written any.
    """
    folder = Path(tempfile.mkdtemp(prefix="trainyard-clone-"))
    guard = Guard()
    guard.tell(remove=str(folder))
    try:
        yield folder
    except InfrastructureError as error:
        logs = folder / "logs"
        shutil.rmtree(folder / model, ignore_errors=True)
        if str(logs) in str(error):
            raise
        if not any(log.stat().st_size for log in logs.glob("*.log")):
            shutil.rmtree(folder, ignore_errors=True)
            raise
        raise InfrastructureError(f"{error} (logs: {logs})") from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        guard.dismiss()


def _judge(
    trial: Callable[[], ModelVerdict],
    record: Record,
    baseline: Record | None,
    junit: Path,
    say: Callable[[str], None],
) -> ModelVerdict:
    """What `trial` says, which gets a second try where the first may have failed by the machine's fault."""
    try:
        made = trial()
        failed = "requests were not answered in time" if made.too_slow else None
    except InfrastructureError as error:
        failed = str(error)
    if failed is None:
        return made.model_copy(update={"attempts": 1})
    say(f"The first try gave no verdict ({failed}); trying once more")
    try:
        made = trial()
    except PodFailed as error:
        if not _blames(error, record.version):
            raise
        made = unserved.verdict(record, baseline, "serving", [str(error)], junit)
    return made.model_copy(update={"attempts": 2, "first_try": failed})


def _blames(error: PodFailed, candidate: int) -> bool:
    """Whether it was the model that made the clone fail; production's has been served before."""
    return error.by_model and error.version in (None, candidate)


def _with_origins(
    made: ModelVerdict, record: Record, baseline: Record | None, judged_on: JudgedOn, budget: Budget, place: Place
) -> ModelVerdict:
    """With what it was made on, by and within."""
    memory = made.memory
    return made.model_copy(
        update={
            "dataset": judged_on,
            "budget": budget.limits(),
            "budget_from": dict(budget.origins),
            "changed": history.changed(record, baseline, Path.cwd()),
            "executor": os.environ.get(_EXECUTOR_VARIABLE, place.executor),
            "memory": memory.model_copy(update={"limit_mib": place.memory_limit_mib}) if memory else None,
        }
    )
