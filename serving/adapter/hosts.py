"""Names and addresses of this machine itself."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether who listens at `host`, or asks for it, is on this machine."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
