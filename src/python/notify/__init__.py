"""Mail to the model's owner. One that can't be sent waits in the outbox, and never changes a verdict."""

from comparison.changed import Changed, Commit
from notify.delivery import Delivery, send
from notify.mails import candidate_passed, drifted, gate_missed, promoted, tests_broken, tests_failed
from notify.message import Attachment, Message, Picture
from notify.outcome import Kind, Run, tell
from notify.rendering import Cause

__all__ = [
    "Attachment",
    "Cause",
    "Changed",
    "Commit",
    "Delivery",
    "Kind",
    "Message",
    "Picture",
    "Run",
    "candidate_passed",
    "drifted",
    "gate_missed",
    "promoted",
    "send",
    "tell",
    "tests_broken",
    "tests_failed",
]
