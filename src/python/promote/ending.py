"""The end of a promotion, by whoever holds it: its own process, or the next one after a kill.

Both may be called twice: what has been done already is left as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import notify
from cli.errors import InfrastructureError, TrainyardError
from contracts.record import Record
from promote import stages
from promote.intent import Held
from promote.pods import Pods
from registry import STABLE, Corrupt, Immutable, Registry, ServingState, UnknownVersion
from settings.schema import Mail

# The picture of the last test, among the reports.
_CONFUSION = "confusion.png"


@dataclass(frozen=True)
class Ending:
    """How a promotion that has begun ends in `registry`: finished, or undone."""

    registry: Registry
    pods: Pods
    mail: Mail
    # Of the registry, for the commands in the mail.
    place: str
    say: Callable[[str], None]

    def finish(self, held: Held) -> notify.Delivery:
        """Everything after the switch; may be done twice."""
        left = held.intent
        before = left.before.labels.get(STABLE) if left.before else None
        serving = self._switched_to(held)
        # A process that stood still for long may have lost this promotion: then it is finished, and what is served by
        # now may come from a later one. After this, as the configuration was read before, ours can't replace it.
        held.change()
        trimmed = stages.trimmed(serving)
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

    def undo(self, held: Held) -> str:
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
        ours = stages.every(earlier, held.intent.version)
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
