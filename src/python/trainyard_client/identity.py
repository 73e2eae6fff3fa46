"""Who asks, for an identity-aware proxy before the adapter, such as Google's IAP."""

from collections.abc import Callable

# An identity token, or what gives one. Such a token lasts an hour, so a program that runs for longer gives a function,
# which is asked before each call and has to be quick.
ProxyToken = str | Callable[[], str]


def proxy_headers(token: ProxyToken | None) -> tuple[tuple[str, str], ...]:
    """What the proxy looks at and takes away; `authorization` is the adapter's own, and is passed on."""
    token = token() if callable(token) else token
    return (("proxy-authorization", f"Bearer {token}"),) if token else ()
