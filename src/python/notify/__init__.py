"""Mail to the model's owner. A mail that can't be sent is kept and tried again, and never changes a verdict."""

from notify.delivery import Delivery, send
from notify.mails import candidate_passed, gate_missed, promoted, tests_failed
from notify.message import Attachment, Message

__all__ = [
    "Attachment",
    "Delivery",
    "Message",
    "candidate_passed",
    "gate_missed",
    "promoted",
    "send",
    "tests_failed",
]
