"""TLS for both faces, from files that may change while the adapter runs."""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from cli.errors import UsageError
from serving.adapter.access import AccessOptions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Files:
    certificate: bytes
    key: bytes
    client_ca: bytes | None


class Tls:
    """Key and certificate, read again by `refresh`; connections that are open keep theirs."""

    def __init__(self, options: AccessOptions) -> None:
        """
        Raises:
            UsageError: a file can't be read, or is none of what it should be.
        """
        if not options.tls_certificate or not options.tls_key:
            raise UsageError("--tls-certificate and --tls-key belong together; name both.")
        self._certificate, self._key = options.tls_certificate, options.tls_key
        self._client_ca = options.tls_client_ca
        self._files = self._read()
        self._current = self._loaded()
        # Handed to a server once; each connection goes on with the one that is current. A certificate can be loaded
        # into a context anew, but an authority for clients can't be taken out of it.
        self.context = self._loaded()
        self.context.sni_callback = self._choose

    def refresh(self) -> None:
        """Takes what the files hold now. What can't be used changes nothing."""
        try:
            files = self._read()
            if files != self._files:
                self._current, self._files = self._loaded(), files
        except UsageError as error:
            logger.error("The certificate stays as it was: %s", error)

    def credentials(self) -> grpc.ServerCredentials:
        """For gRPC, which asks for each new connection whether there are others."""
        known = self._files

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            # The same ones again would be taken for new: connections that begin at that moment then fail, as they are
            # told no protocol (ALPN).
            nonlocal known
            if self._files is known:
                return None
            known = self._files
            return _configuration(known)

        required = bool(self._client_ca)
        return grpc.dynamic_ssl_server_credentials(_configuration(known), fetch, require_client_authentication=required)

    def _read(self) -> _Files:
        return _Files(
            _content("--tls-certificate", self._certificate),
            _content("--tls-key", self._key),
            _content("--tls-client-ca", self._client_ca) if self._client_ca else None,
        )

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        # Called for every connection, also for one that names no server.
        connection.context = self._current

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._certificate, self._key)
        except (ssl.SSLError, OSError, ValueError):
            raise UsageError(
                f"{self._certificate} and {self._key} are no certificate with its key, in PEM and without a password."
            ) from None
        if self._client_ca:
            try:
                context.load_verify_locations(self._client_ca)
            except (ssl.SSLError, OSError, ValueError):
                raise UsageError(f"--tls-client-ca {self._client_ca} holds no certificate in PEM.") from None
            # Whether one is shown is looked at per request: a kubelet's probes show none.
            context.verify_mode = ssl.CERT_OPTIONAL
            # A session that is resumed shows no certificate again, whatever became of the authority.
            context.num_tickets = 0
            context.options |= ssl.OP_NO_TICKET
        return context


def _configuration(files: _Files) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(files.key, files.certificate)], files.client_ca)


def _content(flag: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{flag} {file} can't be read: {(error.strerror or str(error)).lower()}.") from None
