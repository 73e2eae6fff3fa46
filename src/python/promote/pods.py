"""The serving pods, asked through their adapters what they serve."""

import base64
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from cli.addresses import resolved, split
from cli.errors import GateNotPassed, InfrastructureError
from contracts.record import Record
from registry import STABLE

# How far a probability may be from the one measured when the model was made.
GOLDEN_TOLERANCE = 1e-4
_POLL_SECONDS = 0.25
_ANSWER_SECONDS = 5.0
# terminationGracePeriodSeconds of a serving pod, and what a change of names takes to be known.
_LEAVES_SECONDS = 75.0
_AT_ONCE = 16
_POLL_HINT = (
    " A pod that shows the earlier versions alone may never read its configuration again: start its model server with "
    "--model_config_file_poll_wait_seconds=1."
)


@dataclass(frozen=True)
class Pod:
    """One pod's answer; `error` says why there is none."""

    address: str
    model: str = ""
    versions: dict[int, str] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    error: str = ""

    def describe(self, model: str, version: int) -> str:
        """What the pod says about a version, in a few words."""
        if self.error:
            return self.error
        if self.model != model:
            return f"serves the model '{self.model}'"
        stable = self.labels.get(STABLE, "nothing")
        return f"version {version} {self.versions.get(version, 'not loaded')}, stable is {stable}"


class Pods:
    def __init__(self, addresses: Iterable[str]) -> None:
        self._names = list(addresses)
        for address in self._names:
            split(address)

    def __bool__(self) -> bool:
        return bool(self._names)

    def addresses(self) -> list[str]:
        """Every pod's HOST:PORT; looked up anew each time, because pods come and go.

        Raises:
            InfrastructureError: a name has no address.
        """
        return resolved(self._names)

    def ask(self) -> list[Pod]:
        """What each pod serves right now."""
        addresses = self.addresses()
        with ThreadPoolExecutor(min(_AT_ONCE, len(addresses) or 1)) as threads:
            return list(threads.map(_ask, addresses))

    def look(self) -> list[Pod]:
        """As `ask`, for whoever only wants to see: that a name has no address is an answer too."""

        def answers(name: str) -> list[Pod]:
            try:
                return Pods([name]).ask()
            except InfrastructureError as error:
                return [Pod(name, error=str(error))]

        with ThreadPoolExecutor(_AT_ONCE) as threads:
            found = threads.map(answers, self._names)
            return list({pod.address: pod for pods in found for pod in pods}.values())

    def wait_until(
        self, ready: Callable[[Pod], bool], record: Record, timeout: float, waiting: Callable[[str], None]
    ) -> list[Pod]:
        """Asks until every pod is ready with the version of `record`; `waiting` hears about those that are not.

        Raises:
            InfrastructureError: a pod was not ready in `timeout` seconds, or could not load the version.
        """
        deadline = time.monotonic() + timeout
        loading: set[str] = set()
        while True:
            pods = self.ask()
            behind = [pod for pod in pods if pod.model != record.model or not ready(pod)]
            if not behind:
                return pods
            answers = "; ".join(f"{pod.address}: {pod.describe(record.model, record.version)}" for pod in behind)
            for pod in behind:
                state = pod.versions.get(record.version)
                # END alone may be left from an earlier time that the pod had this version.
                if state == "END" and pod.address in loading:
                    raise InfrastructureError(
                        f"The pod {pod.address} could not load version {record.version}; see its log."
                    )
                if state in ("START", "LOADING"):
                    loading.add(pod.address)
            if time.monotonic() > deadline:
                hint = _POLL_HINT if any(_knows_nothing_of(record, pod) for pod in behind) else ""
                raise InfrastructureError(f"After {timeout:g} s not every serving pod was ready ({answers}).{hint}")
            waiting(answers)
            time.sleep(_POLL_SECONDS)

    def ask_golden(self, record: Record) -> None:
        """Asks each pod's `record.version` the golden requests of its record.

        Raises:
            GateNotPassed: an answer is not the recorded one.
            InfrastructureError: a pod did not answer, and is still among those that the name stands for.
        """
        addresses = self.addresses()
        with ThreadPoolExecutor(min(_AT_ONCE, len(addresses) or 1)) as threads:
            for _ in threads.map(lambda address: self._ask_golden(address, record), addresses):
                pass

    def _ask_golden(self, address: str, record: Record) -> None:
        """One pod that leaves stays published for up to a minute after it has stopped answering; it is no failure."""
        deadline = time.monotonic() + _LEAVES_SECONDS
        while True:
            try:
                return _ask_golden(address, record)
            except InfrastructureError:
                if address not in self.addresses():
                    return None
                if address in self._names or time.monotonic() > deadline:
                    raise
            time.sleep(_POLL_SECONDS)


def is_available(version: int) -> Callable[[Pod], bool]:
    return lambda pod: pod.versions.get(version) == "AVAILABLE"


def is_stable(version: int) -> Callable[[Pod], bool]:
    return lambda pod: pod.labels.get(STABLE) == version


def _knows_nothing_of(record: Record, pod: Pod) -> bool:
    """Whether the pod serves other versions of the model, and has not even begun to load this one."""
    # END is left from an earlier time: one that fails to load now ends the waiting at once.
    begun = pod.versions.get(record.version, "END") != "END"
    return pod.model == record.model and bool(pod.versions) and not begun


def _ask(address: str) -> Pod:
    from serving.client import Client, ClientError
    from serving.client.credentials import of_settings

    try:
        with Client(address, access=of_settings()) as client:
            served = client.model(timeout=_ANSWER_SECONDS)
    except ClientError as error:
        return Pod(address, error=str(error))
    return Pod(address, served.name, dict(served.versions), dict(served.version_labels))


def _ask_golden(address: str, record: Record) -> None:
    from serving.client import Client, ClientError
    from serving.client.credentials import of_settings

    with Client(address, access=of_settings()) as client:
        for number, golden in enumerate(record.golden, 1):
            what = f"golden request {number} of version {record.version}"
            try:
                answer = client.classify(base64.b64decode(golden.image), version=record.version)
            except ClientError as error:
                raise InfrastructureError(f"The pod {address} did not answer {what}: {error}") from None
            if answer.version != record.version:
                raise GateNotPassed(f"The pod {address} answered {what} with version {answer.version}.")
            expected = dict(zip(record.labels, golden.probabilities, strict=False))
            wrong = [
                label
                for label in sorted(expected.keys() | answer.scores.keys())
                if not _close(expected.get(label), answer.scores.get(label))
            ]
            if wrong:
                label = wrong[0]
                raise GateNotPassed(
                    f"The pod {address} answered {what} with {label}={answer.scores.get(label)}; "
                    f"{expected.get(label)} was recorded when the model was made."
                )


def _close(expected: float | None, found: float | None) -> bool:
    # NaN is close to nothing.
    return expected is not None and found is not None and abs(expected - found) <= GOLDEN_TOLERANCE
