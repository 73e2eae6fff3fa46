"""HTTP to programs of this machine."""

import urllib.request
from http.client import HTTPResponse
from typing import cast

# urlopen() would send even what is for loopback to the proxy that http_proxy names, unless no_proxy says otherwise.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def open_url(request: str | urllib.request.Request, timeout: float) -> HTTPResponse:
    """What a program of this machine answers within `timeout` seconds; never asked through a proxy.

    Raises:
        urllib.error.URLError: it does not answer, or with an error (HTTPError).
    """
    return cast(HTTPResponse, _DIRECT.open(request, timeout=timeout))
