"""Takes a version into production, or back into it, so that servers never lose a model they answer with.

models.config changes three times:
  added     what was loaded before and the new version, labels as before
  switched  the same versions, `stable` on the new one, `previous` on the old one
  trimmed   just those two
Up to `switched` the promotion can be undone at any time because everything labelled before is still loaded; a server
refuses a label on a version it has not loaded (docs/decisions/0003).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import notify
from cli.errors import Conflict, InfrastructureError, TrainyardError
from contracts.record import Record
from promote import admission, base_path, choice, intent, readable
from promote.intent import Action, Held, Lost
from promote.pods import Pod, Pods, is_available, is_stable
from registry import PREVIOUS, STABLE, Corrupt, Immutable, Registry, ServingState, UnknownVersion, utc_now
from settings.schema import Mail

# The picture of the last test, among the reports.
_CONFUSION = "confusion.png"


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
                outcome.mail = self._finish(held)
            except Lost:  # what is served by now is somebody else's doing
                raise
            except TrainyardError as error:
                error.args = (f"{error} Version {version} is served; the next call of promote ends the bookkeeping.",)
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
            self._finish(held)
        else:
            self.say(f"Undoing {left}, which was interrupted.")
            self._undo(held)

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
            state = self.registry.write_serving(_added(before, version))
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
            self.registry.write_serving(_switched(state, before, version))
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

    def _finish(self, held: Held) -> notify.Delivery:
        """Everything after the switch; may be done twice."""
        left = held.intent
        before = left.before.labels.get(STABLE) if left.before else None
        serving = self._switched_to(held)
        # A process that stood still for long may have lost this promotion: then it is finished, and what is served by
        # now may come from a later one. After this, as the configuration was read before, ours can't replace it.
        held.change()
        trimmed = _trimmed(serving)
        if trimmed != serving:
            self.registry.write_serving(trimmed)
        old = self._state(held, before, "retired")
        new = self._state(held, left.version, "production")
        if not self.registry.journal.tells_of_promotion(left.id):
            self.registry.journal.append(
                left.action,
                left.version,
                before=before,
                after=left.version,
                reason=left.reason,
                who=left.who,
                promotion=left.id,
                since=left.switched,
                unchecked=True if left.action == "promote" and new and not new.checked else None,
            )
        try:
            delivery = self._send_mail(held, new, old)
        except Exception as error:  # whatever it is: a promotion that stays open would keep everybody from going back
            delivery = notify.Delivery(False, "", str(error))
        held.release()
        return delivery

    def _switched_to(self, held: Held) -> ServingState:
        """What is served, which is the version of this promotion.

        Raises:
            Lost: no more, as another process finished this promotion and a later one may have come.
            InfrastructureError: an earlier state was read than is written, or somebody changed it by hand.
        """
        serving = self.registry.serving()
        if serving.stable != held.intent.version:
            held.change()
            raise InfrastructureError(
                f"{self.registry.models_config()} was switched to version {held.intent.version}, but names "
                f"{serving.stable or 'none'} as `{STABLE}`: the storage answers with old data, or somebody changed it."
            )
        return serving

    def _state(self, held: Held, version: int | None, state: str) -> Record | None:
        if version is None:
            return None

        def decide(record: Record) -> dict[str, str]:
            # Looked up between reading and writing the record, so that no later promotion's word is overwritten.
            self._switched_to(held)
            return {"state": state}

        try:
            return self.registry.change(version, decide)
        except UnknownVersion:  # a configuration made by hand may name what has no record
            return None
        except Corrupt as error:  # going back must work whatever became of the record of what was served
            self.say(str(error))
            return None
        except Immutable as error:  # a test came to another verdict meanwhile: the journal says what is served
            self.say(f"{error} Look at it with `promote status`.")
            return self.registry.record(version)

    def _send_mail(self, held: Held, record: Record | None, previous: Record | None) -> notify.Delivery:
        if record is None:
            return notify.Delivery(False, "", f"Version {held.intent.version} has no record any more.")
        try:
            pods = len(self.pods.addresses()) if self.pods else 0
        except TrainyardError:
            pods = 0
        message = notify.promoted(
            record,
            previous,
            who=held.intent.who,
            reason=held.intent.reason,
            pods=pods,
            rollback=held.intent.action == "rollback",
            registry=self.place,
            picture=self.registry.read_report(record.version, _CONFUSION),
        )
        return notify.send(self.mail, message)

    def _give_up(self, held: Held, error: BaseException) -> None:
        """Puts everything back after a failure, and adds to the error what became of it."""
        try:
            outcome = self._undo(held)
        except TrainyardError as second:
            outcome = f"Putting the earlier configuration back failed too ({second}); the next call of promote does it."
        if isinstance(error, TrainyardError):
            error.args = (f"{error} {outcome}",)
        else:
            self.say(outcome)

    def _undo(self, held: Held) -> str:
        """Puts the earlier configuration back; may be done twice. Returns a sentence about it."""
        before = held.intent.before
        if before is None:
            held.release()
            return "Nothing was changed."
        earlier = ServingState(before.versions, before.labels)
        now = self.registry.serving()
        if not held.intent.undo:
            switched = held.intent.switched if now.stable == held.intent.version else None
            touched = (now.versions, now.labels) != (earlier.versions, earlier.labels)
            held.change(undo=True, touched=touched, switched=switched)
        ours = _steps(earlier, held.intent.version)
        if not any((state.versions, state.labels) == (now.versions, now.labels) for state in ours):
            held.release()
            return f"{self.registry.models_config()} was changed by somebody else meanwhile, so it was left as it is."
        # Written even when it says that already: a process that lost this promotion unnoticed may be about to write,
        # and fails now because the generation is another.
        self.registry.write_serving(ServingState(earlier.versions, earlier.labels, now.generation))
        if held.intent.touched and not self.registry.journal.tells_of_promotion(held.intent.id):
            self.registry.journal.append(
                "undo",
                held.intent.version,
                # Before the label moved there was no change of what is in production.
                before=held.intent.version if held.intent.switched else earlier.stable,
                after=earlier.stable,
                reason=f"{held.intent.action} did not succeed",
                who=held.intent.who,
                promotion=held.intent.id,
                since=held.intent.switched,
            )
        held.release()
        if not held.intent.touched:
            return "What is served was not changed."
        what = f"version {earlier.stable} is served as before" if earlier.stable else "nothing is served, as before"
        return f"The earlier configuration is back in place: {what}."

    @contextmanager
    def _step(self, outcome: Outcome, name: str) -> Iterator[None]:
        started = time.monotonic()
        self.waiting(name)
        yield
        seconds = round(time.monotonic() - started, 3)
        outcome.steps.append(Timed(name, seconds))
        self.say(f"{name:8} {seconds:6.2f} s")


def _steps(before: ServingState, version: int) -> list[ServingState]:
    added = _added(before, version)
    switched = _switched(added, before, version)
    return [before, added, switched, _trimmed(switched)]


def _added(before: ServingState, version: int) -> ServingState:
    return ServingState(tuple(sorted({*before.versions, version})), dict(before.labels), before.generation)


def _switched(added: ServingState, before: ServingState, version: int) -> ServingState:
    labels = {**before.labels, STABLE: version}
    if before.stable is not None:
        labels[PREVIOUS] = before.stable
    return ServingState(added.versions, labels, added.generation)


def _trimmed(switched: ServingState) -> ServingState:
    """Just the versions that have a label; an operator's own labels keep theirs."""
    return ServingState(tuple(sorted(set(switched.labels.values()))), dict(switched.labels), switched.generation)
