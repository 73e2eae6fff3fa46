"""Asks an adapter over REST: for where only HTTP gets through. Nothing but Python's own library is needed."""

import asyncio
import http.client
import json
import random
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from trainyard_client.answers import Prediction, ServedModel, check_choice
from trainyard_client.client import DEFAULT_TIMEOUT
from trainyard_client.errors import (
    BY_PROXY,
    BadImage,
    ClientError,
    TooSlow,
    Unauthenticated,
    Unavailable,
    UnknownVersion,
)
from trainyard_client.identity import ProxyToken, proxy_headers

_TRIES = 4
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0  # seconds, at most: the pause is a random part of it
_KINDS = "urn:trainyard:problem:"
_BAD_IMAGE = {400, 413, 415, 422}
# Full, leaving, or nothing behind the load balancer: another try reaches another pod, and asking twice is harmless.
_AGAIN = {429, 502, 503}
_LATE = {408, 504}


class RestClient:
    """An adapter by its HTTP address, such as "https://models.example.com"; any number of threads may use it.

    Arguments:
        authorities: PEM of those whose certificates count with TLS; the public ones by default.
        token: a bearer token, for adapters that want one.
        proxy_token: an identity token, or what gives one, for a proxy before the adapter: as in `Access`.

    Raises:
        ValueError: the address is none, or a token would go through the network in the clear.
    """

    def __init__(
        self,
        url: str,
        *,
        authorities: bytes | None = None,
        token: str | None = None,
        proxy_token: ProxyToken | None = None,
    ) -> None:
        self._proxy_token = proxy_token
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(f"Expected an address such as https://HOST:PORT. Received: {url!r}")
        self.url = url.rstrip("/")
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if (token or proxy_token) and parts.scheme == "http" and not local:
            raise ValueError(f"Expected https for an address that gets a token. Received: {url!r}")
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if local:
            # What never leaves this machine is not a proxy's business.
            handlers.append(urllib.request.ProxyHandler({}))
        if parts.scheme == "https":
            trusted = ssl.create_default_context(cadata=authorities.decode() if authorities else None)
            handlers.append(urllib.request.HTTPSHandler(context=trusted))
        self._opener = urllib.request.build_opener(*handlers)

    def classify(
        self,
        image: bytes,
        version: int | None = None,
        version_label: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Prediction:
        """As `Client.classify`, with its errors; `timeout` holds for all tries together."""
        check_choice(version, version_label)
        chosen = {"version": version, "version_label": version_label}
        query = urllib.parse.urlencode({name: value for name, value in chosen.items() if value is not None})
        answer = self._ask(f"/v1/classify?{query}" if query else "/v1/classify", timeout, image)
        return Prediction(answer["label"], dict(answer["scores"]), answer["version"])

    def model(self, timeout: float = DEFAULT_TIMEOUT) -> ServedModel:
        """As `Client.model`."""
        return ServedModel.from_json(self._ask("/v1/model", timeout))

    def _ask(self, path: str, timeout: float, image: bytes | None = None) -> dict[str, Any]:
        deadline, pause = time.monotonic() + timeout, _FIRST_PAUSE
        for attempt in range(1, _TRIES + 1):
            try:
                return self._once(path, deadline - time.monotonic(), image)
            except Unavailable as error:
                wait = random.uniform(0, pause)
                if isinstance(error, TooSlow) or attempt == _TRIES or time.monotonic() + wait >= deadline:
                    raise
            time.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)
        raise AssertionError("the last try returns or raises")

    def _once(self, path: str, seconds: float, image: bytes | None) -> dict[str, Any]:
        # The adapter looks at the bytes, not at the type, which only has to be one of an image.
        proxy = {name.title(): value for name, value in proxy_headers(self._proxy_token)}
        headers = {**self._headers, **proxy, **({"Content-Type": "image/png"} if image is not None else {})}
        request = urllib.request.Request(self.url + path, data=image, headers=headers)
        try:
            with self._opener.open(request, timeout=max(seconds, 0.001)) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise _explained(self.url, error) from None
        except (TimeoutError, urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise TooSlow(f"{self.url} did not answer in time.") from None
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise Unavailable(
                    f"{self.url} has a certificate that does not count: {reason.verify_message}."
                ) from None
            raise Unavailable(f"No adapter answers at {self.url}; is it running?") from None
        except ValueError:
            raise ClientError(f"What answers at {self.url} is not an adapter; give its HTTP address.") from None
        if not isinstance(answer, dict) or "model" not in answer:
            raise ClientError(f"What answers at {self.url} is not an adapter; give its HTTP address.")
        return answer


class AsyncRestClient:
    """`RestClient` from asyncio: each request waits in a thread."""

    def __init__(
        self,
        url: str,
        *,
        authorities: bytes | None = None,
        token: str | None = None,
        proxy_token: ProxyToken | None = None,
    ) -> None:
        self._client = RestClient(url, authorities=authorities, token=token, proxy_token=proxy_token)
        self.url = self._client.url

    async def classify(
        self,
        image: bytes,
        version: int | None = None,
        version_label: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Prediction:
        """As `RestClient.classify`."""
        return await asyncio.to_thread(self._client.classify, image, version, version_label, timeout)

    async def model(self, timeout: float = DEFAULT_TIMEOUT) -> ServedModel:
        """As `RestClient.model`."""
        return await asyncio.to_thread(self._client.model, timeout)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An adapter never redirects; whoever does would get the image of somebody else's patient."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _explained(url: str, error: urllib.error.HTTPError) -> ClientError:
    try:
        problem = json.loads(error.read())
        ours = str(problem["type"]).startswith(_KINDS)
        detail = str(problem["detail"]) if ours else ""
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        detail = ""
    if error.code in _BAD_IMAGE and detail:
        return BadImage(detail)
    if error.code == 404 and detail:
        return UnknownVersion(detail)
    if error.code == 401:
        # Without a word of the adapter's, nobody asked it.
        return Unauthenticated(f"{url} wants to know who asks: {detail}" if detail else BY_PROXY.format(url))
    if error.code in _AGAIN:
        return Unavailable(detail or f"{url} answered {error.code}.")
    if error.code in _LATE:
        return TooSlow(detail or f"{url} did not answer in time.")
    return ClientError(detail or f"What answers at {url} is not an adapter ({error.code}); give its HTTP address.")
