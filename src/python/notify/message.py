"""A mail before it has an envelope."""

import hashlib
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from cli.text import one_line
from settings.addresses import mail_addresses


@dataclass(frozen=True)
class Attachment:
    name: str
    # Such as "application/json".
    media_type: str
    data: bytes


@dataclass(frozen=True)
class Picture:
    """A PNG that the page shows with `<img src="cid:…">`."""

    data: bytes

    @property
    def cid(self) -> str:
        # By its content: a mail program that keeps pictures by their id must not show another mail's.
        return f"{hashlib.sha256(self.data).hexdigest()[:32]}@trainyard.invalid"


@dataclass(frozen=True)
class Message:
    subject: str
    text: str
    html: str = ""
    attachments: tuple[Attachment, ...] = ()
    pictures: tuple[Picture, ...] = ()

    def to_email(self, sender: str, owner: str, copies: str = "") -> EmailMessage:
        """The mail as it goes over the wire: plain text, the same as HTML with its pictures, then the attachments.

        Raises:
            ValueError: `sender`, `owner` or `copies` is no address, nor several with commas or semicolons between.
        """
        email = EmailMessage()
        for header, text in (("From", sender), ("To", owner), *([("Cc", copies)] if copies else [])):
            email[header] = mail_addresses(text)
        email["Subject"] = one_line(self.subject)
        email["Date"] = formatdate()
        # Not this machine's name: it may be nobody's business, and looking it up may take long.
        email["Message-ID"] = make_msgid(domain="trainyard.invalid")
        # Asks vacation responders not to answer (RFC 3834).
        email["Auto-Submitted"] = "auto-generated"
        email.set_content(self.text)
        if self.html:
            email.add_alternative(self.html, subtype="html")
            page = email.get_body(("html",))
            assert isinstance(page, EmailMessage)
            for picture in self.pictures:
                # Related to the page, inline and without a name: programs then list no attachment.
                page.add_related(picture.data, maintype="image", subtype="png", cid=f"<{picture.cid}>")
        for attachment in self.attachments:
            main, _, sub = attachment.media_type.partition("/")
            email.add_attachment(attachment.data, maintype=main, subtype=sub, filename=one_line(attachment.name))
        return email
