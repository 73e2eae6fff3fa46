"""Who may ask: what was asked for on the command line, and which caller a request is of."""

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import UsageError
from serving.adapter.refusals import TooManyImages, Unauthenticated
from serving.adapter.tokens import Tokens

if TYPE_CHECKING:
    from serving.adapter.signed_tokens import SignedTokens

# Answered without a token, by whatever name the adapter is called: a kubelet knows it by its address and has none.
PROBES = ("/livez", "/readyz", "/v2/health/live", "/v2/health/ready")
ANYBODY = ""
# Callers whose rates are kept, before those that are at rest are forgotten.
_MOST_BUCKETS = 10_000
# Who asks: a token's digest, or ANYBODY. Set before a request reaches the service.
caller: ContextVar[str] = ContextVar("caller", default=ANYBODY)
# Raises Unauthenticated once the caller would not be let in any more; for calls that go on, such as a stream.
still_known: ContextVar[Callable[[], object]] = ContextVar("still_known", default=lambda: None)


@dataclass(frozen=True)
class AccessOptions:
    """What the command line says about callers; by default everybody on this machine may ask."""

    token_file: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    # Images a second for each caller, and how many at once after a pause; None for no limit.
    rate: float | None = None
    burst: int = 64
    metrics_port: int | None = None
    reflection: bool = True
    # A file or an address of keys, and what tokens signed by them have to say; all three or none.
    jwks: str | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None


@dataclass
class _Bucket:
    left: float
    at: float


@dataclass
class Rates:
    """Images a second, of each token and of all callers without one. This process's alone: pods do not add up."""

    rate: float | None
    burst: int
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def check(self) -> None:
        """Before a request is read.

        Raises:
            TooManyImages: the caller has nothing left.
        """
        if self.rate is None:
            return
        bucket = self._bucket()
        if bucket.left < 1:
            raise TooManyImages(self.rate, (1 - bucket.left) / self.rate)

    def charge(self, images: int) -> None:
        """Once it is known how many there are. A request may overdraw; the next one waits the longer."""
        if self.rate is not None:
            self._bucket().left -= images

    def _bucket(self) -> _Bucket:
        assert self.rate is not None
        now = time.monotonic()
        if len(self._buckets) >= _MOST_BUCKETS:
            # Who has asked nothing for so long that its bucket is full is as good as new.
            full = self.burst / self.rate
            self._buckets = {who: one for who, one in self._buckets.items() if now - one.at < full}
        bucket = self._buckets.setdefault(caller.get(), _Bucket(self.burst, now))
        bucket.left = min(self.burst, bucket.left + (now - bucket.at) * self.rate)
        bucket.at = now
        return bucket


@dataclass(frozen=True)
class Access:
    """What the two faces hold a request against."""

    options: AccessOptions
    tokens: Tokens | None
    rates: Rates
    signed: "SignedTokens | None" = None

    @classmethod
    def of(cls, options: AccessOptions) -> "Access":
        """
        Raises:
            UsageError: the file of tokens can't be used, or the keys.
        """
        tokens = Tokens(options.token_file) if options.token_file else None
        return cls(options, tokens, Rates(options.rate, options.burst), _signed(options))

    def identify(self, authorization: str | None) -> str:
        """The caller that the header Authorization proves to be.

        Raises:
            Unauthenticated: tokens are wanted, and it holds none that is known.
        """
        if self.tokens:
            try:
                return self.tokens.identify(authorization)
            except Unauthenticated:
                if self.signed is None:
                    raise
        return self.signed.identify(authorization) if self.signed else ANYBODY


def _signed(options: AccessOptions) -> "SignedTokens | None":
    if not (options.jwks or options.jwt_issuer or options.jwt_audience):
        return None
    if not (options.jwks and options.jwt_issuer and options.jwt_audience):
        raise UsageError("--jwks, --jwt-issuer and --jwt-audience belong together; name all three.")
    # Here, so that who does not ask for it loads no cryptography.
    from serving.adapter.signed_tokens import SignedTokens

    return SignedTokens(options.jwks, options.jwt_issuer, options.jwt_audience)
