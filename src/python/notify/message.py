"""A mail before it has an envelope."""

import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

_MAX_SUBJECT_CHARACTERS = 200


@dataclass(frozen=True)
class Attachment:
    name: str
    # Such as "application/json".
    media_type: str
    data: bytes


@dataclass(frozen=True)
class Message:
    subject: str
    text: str
    html: str = ""
    attachments: tuple[Attachment, ...] = ()

    def to_email(self, sender: str, owner: str) -> EmailMessage:
        """The mail as it goes over the wire: plain text, the same as HTML, then the attachments.

        Raises:
            ValueError: `sender` or `owner` is not an address, or several with commas between.
        """
        email = EmailMessage()
        for header, text in (("From", sender), ("To", owner)):
            email[header] = text
            addresses = email[header].addresses
            if not addresses or not all(one.username and one.domain and one.addr_spec.isascii() for one in addresses):
                raise ValueError(f"{text!r} is not a mail address")
        email["Subject"] = one_line(self.subject)
        email["Date"] = formatdate()
        # Not this machine's name: it may be nobody's business, and looking it up may take long.
        email["Message-ID"] = make_msgid(domain="trainyard.invalid")
        # Asks vacation responders not to answer (RFC 3834).
        email["Auto-Submitted"] = "auto-generated"
        email.set_content(self.text)
        if self.html:
            email.add_alternative(self.html, subtype="html")
        for attachment in self.attachments:
            main, _, sub = attachment.media_type.partition("/")
            email.add_attachment(attachment.data, maintype=main, subtype=sub, filename=one_line(attachment.name))
        return email


def one_line(text: str) -> str:
    """Text fit for a header: a line break in a class or model name must not start another header."""
    return re.sub(r"[\s\x00-\x1f\x7f\x85\u2028\u2029]+", " ", text).strip()[:_MAX_SUBJECT_CHARACTERS]
