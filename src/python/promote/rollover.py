"""Takes a version into production, or back into it: checks, copies, and moves models.config from stage to stage."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import notify
from cli.errors import Conflict, InfrastructureError, TrainyardError
from contracts.record import Record
from promote import admission, base_path, choice, intent, readable, stages
from promote.ending import Ending
from promote.intent import Action, Held, Lost
from promote.pods import Pod, Pods, is_available, is_stable
from registry import Registry, ServingState, utc_now
from settings.schema import Mail


@dataclass(frozen=True)
class Timed:
    name: str
    seconds: float


@dataclass
class Outcome:
    action: Action
    version: int
    previous: int | None
    # It was in production already; nothing was changed.
    already: bool = False
    pods: list[str] = field(default_factory=list)
    steps: list[Timed] = field(default_factory=list)
    mail: notify.Delivery | None = None


@dataclass
class Rollover:
    registry: Registry
    pods: Pods
    mail: Mail
    # Seconds that the pods have for each of loading and switching.
    timeout: float
    # Of the registry, for the commands in the mail.
    place: str = ""
    # Whether a version of a run that left out the checks may go.
    unchecked: bool = False
    say: Callable[[str], None] = lambda line: None
    waiting: Callable[[str], None] = lambda line: None

    def run(self, action: Action, version: int, who: str, reason: str, shown: ServingState | None = None) -> Outcome:
        """Takes `version` into production. Whatever fails before the end puts the earlier configuration back.

        `shown` is what was served when it was decided; default: now.

        Raises:
            Conflict: another promotion is under way, or has come between.
            GateNotPassed: the version may not go into production, or answers otherwise than recorded.
            Tampered: its files are not those that were tested.
            DataRefused: it is not signed by a trusted key, or holds what no server may load.
            InfrastructureError: a pod did not get ready.
        """
        self.settle()
        serving = self.registry.serving()
        if serving.stable == version:
            return Outcome(action, version, serving.previous, already=True)
        held = intent.take(self.registry, action, version, who, reason)
        try:
            outcome = Outcome(action, version, (shown or serving).stable)
            self._carry_out(held, outcome)
        except Lost:
            raise
        except BaseException as error:
            self._give_up(held, error)
            raise
        with self._step(outcome, "record"):
            try:
                outcome.mail = self._ending.finish(held)
            except Lost:  # what is served by now is somebody else's doing
                raise
            except TrainyardError as error:
                error.args = (f"{error} Version {version} is served; the next call of promote completes the records.",)
                raise
        return outcome

    def prepare(self) -> None:
        """What has to be right before anything is decided.

        Raises:
            Conflict: a promotion is under way.
            InfrastructureError: the registry lies where it can't be changed safely.
        """
        self.registry.require_writable()
        self.settle()
        if mended := base_path.mend(self.registry):
            self.say(mended)

    def settle(self) -> None:
        """Finishes or undoes what an ended process left behind.

        Raises:
            Conflict: a promotion is under way.
        """
        held = intent.take_over(self.registry)
        if held is None:
            return
        left = held.intent
        switched = self.registry.serving().stable == left.version
        if switched and left.before is not None and not left.undo:
            self.say(f"Finishing {left}, which was interrupted.")
            self._ending.finish(held)
        else:
            self.say(f"Undoing {left}, which was interrupted.")
            self._ending.undo(held)

    @property
    def _ending(self) -> Ending:
        return Ending(self.registry, self.pods, self.mail, self.place, self.say)

    def _carry_out(self, held: Held, outcome: Outcome) -> None:
        version = held.intent.version
        with self._step(outcome, "check"):
            record = self.registry.record(version)
            choice.check(record, held.intent.action, unchecked=self.unchecked)
            # A version that servers had before may go back whatever the list of operations says by now: going back
            # is what helps when something is wrong. Its digests and signature are checked with the copy.
            if held.intent.action == "promote":
                admission.check(self.registry, record)
            before = self.registry.serving()
            if before.stable != outcome.previous:
                now = f"version {before.stable}" if before.stable else "nothing"
                raise Conflict(
                    f"By now {now} is in production, no longer {outcome.previous or 'nothing'}; look at "
                    "`promote list` and decide again."
                )
            held.change(before=intent.Served.of(before))
        with self._step(outcome, "copy"):
            self.registry.copy_to_production(version)
        with self._step(outcome, "load"):
            held.change()
            state = self.registry.write_serving(stages.added(before, version))
            if self.pods:
                self._wait(held, outcome, record, is_available(version))
            else:
                self.say("No serving pod is configured ([serving] pods, or --pod), so nothing has to be waited for.")
        if self.pods:
            with self._step(outcome, "ask"):
                if not record.golden:
                    self.say(f"The record of version {version} holds no golden requests, so none can be asked.")
                self.pods.ask_golden(record)
        with self._step(outcome, "switch"):
            # What servers have loaded by now is still what was signed, and has not failed a test meanwhile.
            choice.check(self.registry.record(version), held.intent.action, unchecked=self.unchecked)
            self.registry.check_files(version)
            held.change(switched=utc_now())
            self.registry.write_serving(stages.switched(state, before, version))
        if self.pods:
            with self._step(outcome, "confirm"):
                self._wait(held, outcome, record, is_stable(version))

    def _wait(self, held: Held, outcome: Outcome, record: Record, ready: Callable[[Pod], bool]) -> None:
        def tell(answers: str) -> None:
            held.keep()
            self.waiting(answers)

        try:
            outcome.pods = [pod.address for pod in self.pods.wait_until(ready, record, self.timeout, tell)]
        except InfrastructureError as error:
            error.args = (f"{error}{readable.hint(self.registry, record.version)}",)
            raise

    def _give_up(self, held: Held, error: BaseException) -> None:
        """Puts everything back after a failure, and adds to the error what became of it."""
        try:
            outcome = self._ending.undo(held)
        except TrainyardError as second:
            outcome = f"Putting the earlier configuration back failed too ({second}); the next call of promote does it."
        if isinstance(error, TrainyardError):
            error.args = (f"{error} {outcome}",)
        else:
            self.say(outcome)

    @contextmanager
    def _step(self, outcome: Outcome, name: str) -> Iterator[None]:
        started = time.monotonic()
        self.waiting(name)
        yield
        seconds = round(time.monotonic() - started, 3)
        outcome.steps.append(Timed(name, seconds))
        self.say(f"{name:8} {seconds:6.2f} s")
