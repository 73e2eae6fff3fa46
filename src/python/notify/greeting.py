"""The name under which we greet a mail server."""

import ipaddress
import re
import smtplib
import socket

# As RFC 5321 wants it: labels of letters, digits and hyphens, at least two of them.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")


def greet(connection: smtplib.SMTP) -> None:
    """Says EHLO: by this machine's name if it has one that mail servers know as such, or by its address.

    A container's name is none: it has an underscore, or stands alone. Servers may refuse such a name, or ours.

    Raises:
        SMTPHeloError: the server refuses all greetings.
    """
    for name in names(connection):
        connection.local_hostname = name
        code, _ = connection.ehlo()
        if code == 250:
            return
    connection.ehlo_or_helo_if_needed()


def names(connection: smtplib.SMTP) -> list[str]:
    """What may be said, the best first."""
    own = socket.getfqdn()
    assert connection.sock is not None
    address = ipaddress.ip_address(connection.sock.getsockname()[0].partition("%")[0])
    literal = f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"
    return [*([own] if len(own) < 256 and _NAME.fullmatch(own) else []), literal]
