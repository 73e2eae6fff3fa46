"""What an adapter is shown that wants to know who asks, and what a proxy before it is."""

from dataclasses import dataclass

import grpc

from trainyard_client import grpc_calls
from trainyard_client.identity import ProxyToken, proxy_headers


@dataclass(frozen=True)
class Access:
    """A bearer token, and PEM of certificates, of which none is needed."""

    token: str | None = None
    # Whose signature on the adapter's certificate counts; asked by TLS if there is one.
    authorities: bytes | None = None
    # One's own, for adapters that want one.
    certificate: bytes | None = None
    key: bytes | None = None
    # The name in the adapter's certificate, where that is not what it is asked by.
    server_name: str | None = None
    # For an identity-aware proxy before the adapter: an identity token, or a function that gives one (identity.py).
    proxy_token: ProxyToken | None = None

    def __repr__(self) -> str:
        return "Access(…)"  # never a secret in a log

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Of a call over gRPC, or a request over HTTP."""
        return (
            *((("authorization", f"Bearer {self.token}"),) if self.token else ()),
            *proxy_headers(self.proxy_token),
        )

    def credentials(self, authorities: bytes | None) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(authorities or self.authorities, self.key, self.certificate)

    @property
    def options(self) -> list[tuple[str, object]]:
        """Of a channel."""
        named = [("grpc.ssl_target_name_override", self.server_name)] if self.server_name else []
        return [*grpc_calls.OPTIONS, *named]
