"""Mail over real SMTP, and what becomes of it when the server is away, slow, or says no."""

import contextlib
import email
import fcntl
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from pydantic import ValidationError

from notify import Message, Picture, delivery, send
from settings.schema import Mail


class Inbox:
    """What a mail server took; `answers` are given to the next mails instead of taking them."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answers: list[str] = []
        self.greetings: list[str] = []
        # A name that is not let in.
        self.refused = ""

    async def handle_EHLO(
        self, server: Any, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.greetings.append(hostname)
        if hostname == self.refused:
            return ["550 who are you?"]
        session.host_name = hostname
        return responses

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        self.mails.append(email.message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return "250 taken"

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if address.startswith("nobody"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 fine"

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@contextlib.contextmanager
def serving(inbox: Inbox, **options: Any) -> Iterator[int]:
    controller = Controller(inbox, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings(tmp_path: Path, port: int, **changes: Any) -> Mail:
    values = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_tls": False, "outbox": str(tmp_path / "outbox")}
    return Mail(**(values | changes))


def kept(tmp_path: Path, folder: str) -> list[str]:
    paths = sorted((tmp_path / folder).glob("*.eml"))
    return [str(email.message_from_bytes(path.read_bytes(), policy=policy.default)["Subject"]) for path in paths]


def test_mail_arrives_with_both_its_forms(tmp_path: Path, inbox: Inbox) -> None:
    with serving(inbox) as port:
        done = send(settings(tmp_path, port), Message("subject", "plain ü", "<p>page ü"))
    assert (done.sent, done.where, done.error) == (True, f"127.0.0.1:{port}", None)
    (mail,) = inbox.mails
    assert (mail["From"], mail["To"]) == ("trainyard@example.com", "owner@example.com")
    assert [part.get_content().strip() for part in mail.iter_parts()] == ["plain ü", "<p>page ü"]
    assert not (tmp_path / "outbox").exists()


def test_mail_without_a_server_is_kept_to_be_read(tmp_path: Path) -> None:
    done = send(Mail(outbox=str(tmp_path / "outbox")), Message("A subject: with / signs", "text"))
    assert (done.sent, done.error) == (False, None)
    assert Path(done.where).parent == tmp_path / "outbox"
    assert kept(tmp_path, "outbox") == ["A subject: with / signs"]


def test_mail_is_kept_while_the_server_is_away_and_sent_with_the_next(tmp_path: Path, inbox: Inbox) -> None:
    away = settings(tmp_path, free_port())
    for subject in ("first", "second"):
        done = send(away, Message(subject, "text"))
        assert not done.sent and done.error and "Connection refused" in done.error
    assert kept(tmp_path, "outbox/unsent") == ["first", "second"]
    with serving(inbox) as port:
        assert send(settings(tmp_path, port), Message("third", "text")).sent
    assert sorted(inbox.subjects()) == ["first", "second", "third"]
    assert kept(tmp_path, "outbox/unsent") == []


def test_picture_survives_the_outbox_and_is_still_shown_in_the_page(tmp_path: Path, inbox: Inbox) -> None:
    # Every byte, so that no line ending or bare dot is "mended" on the way.
    picture = Picture(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300 + b"\r\n.\r\n")
    page = f'<p>ü</p><img src="cid:{picture.cid}">'
    assert not send(settings(tmp_path, free_port()), Message("late", "text", page, pictures=(picture,))).sent
    with serving(inbox) as port:
        assert send(settings(tmp_path, port), Message("next", "text")).sent
    late = next(mail for mail in inbox.mails if mail["Subject"] == "late")
    kinds = ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
    assert [part.get_content_type() for part in late.walk()] == kinds
    (image,) = (part for part in late.walk() if part.get_content_type() == "image/png")
    assert isinstance(image, EmailMessage)
    assert image.get_content() == picture.data
    assert image["Content-ID"] == f"<{picture.cid}>"
    body = late.get_body(("html",))
    assert body is not None and f"cid:{picture.cid}" in body.get_content()
    assert kept(tmp_path, "outbox/unsent") == []


def test_name_of_a_server_that_does_not_exist_is_told(tmp_path: Path) -> None:
    done = send(settings(tmp_path, 25, smtp_host="no-such-host.invalid"), Message("s", "text"))
    assert not done.sent and done.error and "no-such-host.invalid:25" in done.error
    assert kept(tmp_path, "outbox/unsent") == ["s"]


def test_server_that_never_answers_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "TIMEOUT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = send(settings(tmp_path, silent.getsockname()[1]), Message("s", "text"))
    assert not done.sent and done.error and "no answer within 0.3 s" in done.error
    assert kept(tmp_path, "outbox/unsent") == ["s"]


def test_server_that_hangs_up_is_no_trouble(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as rude:
        thread = threading.Thread(target=lambda: rude.accept()[0].close())
        thread.start()
        done = send(settings(tmp_path, rude.getsockname()[1]), Message("s", "text"))
        thread.join(10)
    assert not done.sent and done.error
    assert kept(tmp_path, "outbox/unsent") == ["s"]


def test_mail_put_off_by_the_server_is_offered_again(tmp_path: Path, inbox: Inbox) -> None:
    inbox.answers = ["451 try later"]
    with serving(inbox) as port:
        done = send(settings(tmp_path, port), Message("put off", "text"))
        assert not done.sent and done.error and "451 try later" in done.error
        assert kept(tmp_path, "outbox/unsent") == ["put off"]
        assert send(settings(tmp_path, port), Message("next", "text")).sent
    assert sorted(inbox.subjects()) == ["next", "put off"]


def test_mail_refused_for_good_is_kept_but_not_offered_again(tmp_path: Path, inbox: Inbox) -> None:
    inbox.answers = ["554 no thanks"]
    with serving(inbox) as port:
        done = send(settings(tmp_path, port), Message("refused", "text"))
        assert done.error and "554 no thanks" in done.error
        nobody = send(settings(tmp_path, port, owner="nobody@example.com"), Message("to nobody", "text"))
        assert nobody.error and "550 no such user" in nobody.error
        assert send(settings(tmp_path, port), Message("next", "text")).sent
    assert inbox.subjects() == ["next"]
    assert sorted(kept(tmp_path, "outbox")) == ["refused", "to nobody"]
    assert kept(tmp_path, "outbox/unsent") == []


def test_kept_mail_refused_for_good_leaves_the_queue(tmp_path: Path, inbox: Inbox) -> None:
    send(settings(tmp_path, free_port(), owner="nobody@example.com"), Message("to nobody", "text"))
    with serving(inbox) as port:
        assert send(settings(tmp_path, port), Message("next", "text")).sent
    assert kept(tmp_path, "outbox/unsent") == []
    assert kept(tmp_path, "outbox") == ["to nobody"]


def test_password_is_not_sent_to_a_server_without_encryption(
    tmp_path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINYARD_SMTP_PASSWORD", "secret")
    seen: list[object] = []

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        seen.append(data)
        return AuthResult(success=True)

    with serving(inbox, authenticator=check, auth_require_tls=False) as port:
        done = send(settings(tmp_path, port, smtp_tls=True, smtp_user="ada"), Message("s", "text"))
    assert not done.sent and done.error and "STARTTLS" in done.error
    assert seen == [] and inbox.mails == []


def test_user_and_password_are_used_and_never_told(
    tmp_path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINYARD_SMTP_PASSWORD", "secret")

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        return AuthResult(success=(data.login, data.password) == (b"ada", b"secret"), handled=False)

    options = {"authenticator": check, "auth_required": True, "auth_require_tls": False}
    with serving(inbox, **options) as port:
        assert send(settings(tmp_path, port, smtp_user="ada"), Message("s", "text")).sent
        wrong = send(settings(tmp_path, port, smtp_user="eve"), Message("s", "text"))
    assert len(inbox.mails) == 1
    assert wrong.error and "535" in wrong.error and "secret" not in wrong.error


@pytest.mark.parametrize("owner", ["a@example.com\nBcc: eve@example.com", "", "not an address \udcff"])
def test_owner_that_is_no_address_raises_nothing(tmp_path: Path, inbox: Inbox, owner: str) -> None:
    with serving(inbox) as port:
        # Past the settings, which let no such owner in.
        wrong = settings(tmp_path, port).model_copy(update={"owner": owner})
        done = send(wrong, Message("s", "text"))
    assert not done.sent and done.error
    assert inbox.mails == []


def test_outbox_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file")
    done = send(Mail(outbox=str(tmp_path / "outbox")), Message("s", "text"))
    assert not done.sent and done.error and "can't be written" in done.error
    both = send(settings(tmp_path, free_port()), Message("s", "text"))
    assert both.error and "did not take the mail" in both.error and "can't be written" in both.error


def test_mail_being_offered_by_another_process_is_left_to_it(tmp_path: Path, inbox: Inbox) -> None:
    send(settings(tmp_path, free_port()), Message("once", "text"))
    (path,) = (tmp_path / "outbox" / "unsent").glob("*.eml")
    with path.open() as file, serving(inbox) as port:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert send(settings(tmp_path, port), Message("next", "text")).sent
    assert inbox.subjects() == ["next"]
    assert os.listdir(path.parent) == [path.name]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, and its key in the same file."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("openssl is not installed")
    path, key = tmp_path / "server.pem", tmp_path / "key.pem"
    make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(path)]
    subprocess.run([openssl, *make.split(), *names], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


@pytest.mark.parametrize("trusted", [True, False])
def test_encrypted_mail_goes_only_to_a_server_with_a_trusted_certificate(
    tmp_path: Path, inbox: Inbox, certificate: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(inbox, tls_context=context, require_starttls=True) as port:
        done = send(settings(tmp_path, port, smtp_tls=True), Message("s", "text"))
    assert done.sent is trusted
    assert len(inbox.mails) == trusted
    assert trusted or (done.error and "certificate" in done.error and kept(tmp_path, "outbox/unsent") == ["s"])


def test_all_owners_get_the_mail_whatever_stands_between_them(tmp_path: Path, inbox: Inbox) -> None:
    named = '"Doe; Ada" <a@example.com>;b@example.com'
    for owners in ("a@example.com; b@example.com", "a@example.com, b@example.com", named):
        with serving(inbox) as port:
            assert send(settings(tmp_path, port, owner=owners), Message("s", "text")).sent
        mail = inbox.mails[-1]
        assert [address.addr_spec for address in mail["To"].addresses] == ["a@example.com", "b@example.com"]


@pytest.mark.parametrize(
    "owner", ["a@example.com b@example.com", "a@example.com; nobody", "ada", "a@b@example.com", ";"]
)
def test_owner_that_is_no_address_is_a_mistake_in_the_settings(owner: str) -> None:
    with pytest.raises(ValidationError, match="mail address"):
        Mail(owner=owner)


def test_server_that_wants_tls_from_the_start_on_a_port_of_its_own(
    tmp_path: Path, inbox: Inbox, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setattr(delivery, "TIMEOUT_SECONDS", 2.0)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(inbox, ssl_context=context) as port:
        plain = send(settings(tmp_path, port, smtp_tls=True), Message("s", "text"))
        assert not plain.sent and 'smtp_tls = "tls"' in str(plain.error)
        encrypted = send(settings(tmp_path, port, smtp_tls="tls"), Message("t", "text"))
    assert encrypted.sent, encrypted.error
    assert sorted(inbox.subjects()) == ["s", "t"]


def test_server_without_tls_is_told_from_one_with_it(tmp_path: Path, inbox: Inbox) -> None:
    with serving(inbox) as port:
        wrong = send(settings(tmp_path, port, smtp_tls="tls"), Message("s", "text"))
    assert not wrong.sent and 'does not begin with TLS: set smtp_tls = "starttls"' in str(wrong.error)


@pytest.mark.parametrize(
    ("written", "meant"),
    [(True, "starttls"), (False, "none"), ("true", "starttls"), ("0", "none"), ("tls", "tls"), ("none", "none")],
)
def test_switch_of_earlier_settings_is_understood(written: object, meant: str) -> None:
    assert Mail(smtp_tls=written).smtp_tls == meant


@pytest.mark.parametrize("name", ["my_container.local", "f3a9c1d2b4e5", "-x.example.com", "localhost"])
def test_greeting_by_a_name_that_servers_refuse_is_an_address(
    tmp_path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda: name)
    with serving(inbox) as port:
        assert send(settings(tmp_path, port), Message("s", "text")).sent
    assert inbox.greetings == ["[127.0.0.1]"]


def test_server_that_refuses_our_name_gets_our_address(
    tmp_path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda: "build-7.example.com")
    inbox.refused = "build-7.example.com"
    with serving(inbox) as port:
        assert send(settings(tmp_path, port), Message("s", "text")).sent
    assert inbox.greetings == ["build-7.example.com", "[127.0.0.1]"]
