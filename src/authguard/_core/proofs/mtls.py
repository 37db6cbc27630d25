"""Tokens bound to a TLS client certificate (RFC 8705 section 3)."""

import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from hmac import compare_digest
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, ClassVar, Literal
from urllib.parse import unquote

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificate

from authguard._core.flow import Flow
from authguard._core.model import Credential
from authguard._core.options import check_list
from authguard._core.proofs.proof import Proof
from authguard._core.request import RequestView
from authguard.errors import ConfigurationError, UnprovenTokenError

_FIELD = re.compile(r"[A-Za-z0-9-]+\Z")
# One certificate and nothing else: a caller's field, joined before the proxy's, would come first.
_PEM = re.compile(r"\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]++-----END CERTIFICATE-----\s*\Z", re.ASCII)
_BYTE_SEQUENCE = re.compile(rb":([A-Za-z0-9+/]+={0,2}):\Z")  # RFC 8941 section 3.3.5
_LONGEST_CERTIFICATE = 16 * 1024  # as it stands in the field


class MutualTLS(Proof):
    """Accepts tokens that are bound to the certificate which the caller shows in TLS.

    Without `header` the certificate is what the server says: the TLS extension of ASGI, which
    few servers have (nonecorn does; uvicorn, hypercorn, granian and daphne do not), or
    `SSL_CLIENT_CERT` on WSGI. Behind a proxy that ends TLS, name the field that it passes the
    certificate on in, and the proxy; it must overwrite what callers send in that field.

    Args:
        header: the field of the proxy, such as `Client-Cert`; None asks the server.
        encoding: how the proxy writes it: `pem`, with percent-encoding, as nginx's
            `$ssl_client_escaped_cert`; or `rfc9440`, a structured field.
        proxies: addresses or networks, such as `10.0.0.0/24`, of the proxies. The field is
            ignored if the connection is from anybody else.

    Raises:
        ConfigurationError: if this cannot be meant.
    """

    member: ClassVar[str] = "x5t#S256"

    def __init__(
        self,
        *,
        header: str | None = None,
        encoding: Literal["pem", "rfc9440"] = "pem",
        proxies: Iterable[str] = (),
    ) -> None:
        self._proxies = [_network(proxy) for proxy in check_list(proxies, "proxies")]
        if (header is None) != (not self._proxies):
            raise ConfigurationError("header and proxies go together: name the field, and who may send it")
        if header is not None and not (isinstance(header, str) and _FIELD.match(header)):
            raise ConfigurationError("header is the name of a field: letters, digits and hyphens")
        if encoding not in ("pem", "rfc9440"):
            raise ConfigurationError('encoding is "pem" or "rfc9440"')
        self._header = None if header is None else header.lower().encode("ascii")
        self._encoding = encoding

    @property
    def metadata(self) -> Mapping[str, Any]:
        """That tokens may be bound to certificates."""
        return {"tls_client_certificate_bound_access_tokens": True}

    def check(self, request: RequestView, credential: Credential, bound_to: str, now: float) -> Flow[str]:
        """Compare the certificate's thumbprint.

        Raises:
            UnprovenTokenError: if there is no certificate, or it is another one.
        """
        try:
            certificate = self._certificate(request)
        except ValueError as error:
            raise UnprovenTokenError("the client certificate cannot be read") from error
        if certificate is None:
            raise UnprovenTokenError("no client certificate, or not from a proxy that is listed")
        found = urlsafe_b64encode(certificate.fingerprint(SHA256())).rstrip(b"=")
        if not compare_digest(found, bound_to.encode()):
            raise UnprovenTokenError("another client certificate")
        return ""
        yield  # a flow that asks nothing: the certificate is here

    def _certificate(self, request: RequestView) -> Certificate | None:
        if self._header is None:
            return _from_pem(request.certificate or "")
        values = request.fields(self._header)
        if not self._is_proxy(request.peer) or len(values) != 1 or len(values[0]) > _LONGEST_CERTIFICATE:
            return None
        if self._encoding == "pem":
            return _from_pem(unquote(values[0].decode("ascii")))
        found = _BYTE_SEQUENCE.match(values[0])
        return load_der_x509_certificate(b64decode(found[1], validate=True)) if found else None

    def _is_proxy(self, peer: str | None) -> bool:
        try:
            address = ip_address(peer or "")
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._proxies)

    def __repr__(self) -> str:
        return f"MutualTLS(header={self._header!r}, proxies={list(map(str, self._proxies))})"


def _from_pem(text: str) -> Certificate | None:
    return load_pem_x509_certificate(text.encode("ascii")) if _PEM.match(text) else None


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is not an address or network such as '10.0.0.0/24'") from error
    if network.prefixlen == 0:
        raise ConfigurationError(f"{text!r} is everybody: list the proxies")
    return network
