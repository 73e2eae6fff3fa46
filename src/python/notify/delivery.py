"""Sends a mail by SMTP, or leaves it in the outbox folder.

The outbox holds what is there to be read; its folder "unsent" what the mail server could not take and gets offered
again with the next mail.
"""

import email
import fcntl
import os
import re
import smtplib
import ssl
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from pathlib import Path

from cli.text import one_line
from notify.greeting import greet
from notify.message import Message
from settings.schema import Mail

PASSWORD_VARIABLE = "TRAINYARD_SMTP_PASSWORD"
# Of each step of the conversation with the mail server.
TIMEOUT_SECONDS = 10.0
# Offered again at one time; the rest waits for the mail after.
MOST_RETRIES = 20
_IMPLICIT_TLS_PORT = 465
# Replaced before anything is said; or the library would look up this machine's name, which may take long.
_NOBODY = "localhost"
# smtplib raises ValueError for addresses that it can't put on the wire.
_FAILURES = (OSError, smtplib.SMTPException, ValueError)


@dataclass(frozen=True)
class Delivery:
    """What became of a mail: `where` is the mail server's address or the file in the outbox."""

    sent: bool
    where: str
    error: str | None = None


def send(mail: Mail, message: Message, copies: Sequence[str] = ()) -> Delivery:
    """Sends `message` to the owner, and `copies` of it. Nothing that goes wrong with the delivery is raised."""
    owners = {owner.strip().lower() for owner in re.split("[,;]", mail.owner)}
    others = ", ".join(copy for copy in copies if copy.lower() not in owners)
    try:
        envelope = message.to_email(mail.sender, mail.owner, others)
    except ValueError as error:
        return Delivery(False, "", f"The addresses in [mail] can't be used: {error}.")
    outbox = Path(mail.outbox)
    if not mail.smtp_host:
        return _keep(outbox, envelope, None)
    server = f"{mail.smtp_host}:{mail.smtp_port}"
    try:
        with _connected(mail) as connection:
            connection.send_message(envelope)
            _offer_again(connection, outbox)
    except _FAILURES as error:
        reason = f"{server} did not take the mail: {_tell(error)}{_hint(error, mail)}."
        return _keep(outbox if _is_final(error) else outbox / "unsent", envelope, reason)
    return Delivery(True, server)


@contextmanager
def _connected(mail: Mail) -> Iterator[smtplib.SMTP]:
    tls = ssl.create_default_context()
    where = (mail.smtp_host, mail.smtp_port)
    connection: smtplib.SMTP
    if _from_the_start(mail):
        connection = smtplib.SMTP_SSL(*where, local_hostname=_NOBODY, timeout=TIMEOUT_SECONDS, context=tls)
    else:
        connection = smtplib.SMTP(*where, local_hostname=_NOBODY, timeout=TIMEOUT_SECONDS)
    try:
        greet(connection)
        if mail.smtp_tls == "starttls" and not _from_the_start(mail):
            connection.starttls(context=tls)
        if mail.smtp_user:
            connection.login(mail.smtp_user, os.environ.get(PASSWORD_VARIABLE, ""))
        yield connection
        with suppress(*_FAILURES):  # the mail is delivered; how the server says goodbye does not matter
            connection.quit()
    finally:
        connection.close()


def _from_the_start(mail: Mail) -> bool:
    return mail.smtp_tls == "tls" or mail.smtp_port == _IMPLICIT_TLS_PORT


def _offer_again(connection: smtplib.SMTP, outbox: Path) -> None:
    unsent = outbox / "unsent"
    for path in sorted(unsent.glob("*.eml"))[:MOST_RETRIES] if unsent.is_dir() else ():
        try:
            _offer_one(connection, path, outbox)
        except _FAILURES:
            return  # the new mail is through; the old ones wait for the next


def _offer_one(connection: smtplib.SMTP, path: Path, outbox: Path) -> None:
    with path.open("rb") as file:
        # Another process may be offering the same mail right now, or just have done so.
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if os.fstat(file.fileno()).st_nlink == 0:
            return
        envelope = email.message_from_binary_file(file, policy=policy.default)
        try:
            connection.send_message(envelope)
        except smtplib.SMTPException as error:
            if not _is_final(error):
                raise
            path.rename(outbox / path.name)
        else:
            path.unlink()


def _is_final(error: Exception) -> bool:
    """Whether the server refused this very mail for good, so that offering it again is of no use."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, (smtplib.SMTPSenderRefused, smtplib.SMTPDataError)) and error.smtp_code >= 500


def _tell(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        error = smtplib.SMTPResponseException(*next(iter(error.recipients.values())))
    if isinstance(error, smtplib.SMTPResponseException):
        answer = (
            error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        )
        return one_line(f"{error.smtp_code} {answer}")
    # smtplib hides a time-out at the greeting in a "connection closed".
    if isinstance(error, TimeoutError) or (
        isinstance(error, smtplib.SMTPServerDisconnected) and "timed out" in str(error)
    ):
        return f"no answer within {TIMEOUT_SECONDS:g} s"
    return one_line(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _hint(error: Exception, mail: Mail) -> str:
    """How the settings may be wrong, where the error looks like it."""
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"):
        return '; it does not begin with TLS: set smtp_tls = "starttls" in [mail], or "none"'
    if isinstance(error, smtplib.SMTPNotSupportedError) and mail.smtp_tls == "starttls":
        return '; it may want TLS from the start (smtp_tls = "tls" in [mail]), or have none (smtp_tls = "none")'
    silent = isinstance(error, (TimeoutError, smtplib.SMTPServerDisconnected))
    if silent and not _from_the_start(mail):
        return '; if it wants TLS from the start, set smtp_tls = "tls" in [mail]'
    return ""


def _keep(folder: Path, envelope: EmailMessage, error: str | None) -> Delivery:
    words = re.sub(r"[^a-z0-9]+", "-", str(envelope["Subject"]).lower()).strip("-")[:60]
    name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{words}-{uuid.uuid4().hex[:6]}.eml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Under the name only when whole: another process may be looking for mails to offer again.
        partial = folder / f".{name}.partial"
        partial.write_bytes(envelope.as_bytes(policy=policy.SMTP))
        partial.rename(folder / name)
    except OSError as failure:
        lost = f"The outbox {folder} can't be written: {failure.strerror}."
        return Delivery(False, "", f"{error} {lost}" if error else lost)
    return Delivery(False, str(folder / name), error)
