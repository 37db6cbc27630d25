"""Check tokens that are bound to a TLS client certificate (RFC 8705 section 3)."""

import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from hmac import compare_digest
from typing import Any, ClassVar, Literal
from urllib.parse import unquote

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificate

from authguard._core.encoding import encode_base64url
from authguard._core.flow import Flow
from authguard._core.model import Credential
from authguard._core.options import check_choice, check_text, got, named_options
from authguard._core.proofs.proof import Proof
from authguard._core.proxies import TrustedProxies
from authguard._core.request import RequestView
from authguard.errors import ConfigurationError, UnprovenTokenError

_FIELD = re.compile(r"[A-Za-z0-9-]+\Z")
# The field must contain exactly one certificate: the value of a caller's field, joined with the proxy's,
# would come first.
_PEM = re.compile(r"\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]++-----END CERTIFICATE-----\s*\Z", re.ASCII)
_BYTE_SEQUENCE = re.compile(rb":([A-Za-z0-9+/]+={0,2}):\Z")  # RFC 8941 section 3.3.5
_MAX_CERTIFICATE = 16 * 1024  # characters of a certificate in the field


@named_options
class MutualTLS(Proof):
    """Accept tokens that are bound to the caller's TLS client certificate.

    Without `header`, the server provides the certificate: by the TLS extension of ASGI, which few servers
    have (nonecorn does; uvicorn, hypercorn, granian and daphne do not), or as `SSL_CLIENT_CERT` under WSGI.
    Behind a proxy that ends TLS, set the field in which it passes the certificate, and the proxy; it must
    overwrite that field of callers.

    Args:
        header: the field of the proxy, such as `Client-Cert`; None for the server.
        encoding: the encoding of the field: `pem`, with percent-encoding, as nginx's
            `$ssl_client_escaped_cert`; or `rfc9440`, a structured field.
        proxies: addresses or networks of the proxies, such as `10.0.0.0/24`. The field is ignored on other
            connections.

    Raises:
        ConfigurationError: if an option has the wrong type, or only one of header and proxies is given.
    """

    member: ClassVar[str] = "x5t#S256"

    def __init__(
        self,
        *,
        header: str | None = None,
        encoding: Literal["pem", "rfc9440"] = "pem",
        proxies: Iterable[str] = (),
    ) -> None:
        self._proxies = TrustedProxies(proxies)
        if header is not None:
            check_text(
                header, "header", pattern=_FIELD, must="be a field name of letters, digits and hyphens"
            )
        if (header is None) != (not self._proxies.networks):
            raise ConfigurationError(
                f"header and proxies must go together, got {got(header)} and {got(list(proxies))}: name the "
                "field, and who may send it"
            )
        self._header = None if header is None else header.lower().encode("ascii")
        self._encoding = check_choice(encoding, "encoding", ("pem", "rfc9440"))

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Return that tokens may be bound to certificates."""
        return {"tls_client_certificate_bound_access_tokens": True}

    def check(self, request: RequestView, credential: Credential, bound_to: str, now: float) -> Flow[str]:
        """Compare the certificate's thumbprint.

        Raises:
            UnprovenTokenError: if the certificate is missing, or is another one.
        """
        try:
            certificate = self._certificate(request)
        except ValueError as error:
            raise UnprovenTokenError("the client certificate cannot be read") from error
        if certificate is None:
            raise UnprovenTokenError("no client certificate, or not from a proxy that is listed")
        thumbprint = encode_base64url(certificate.fingerprint(SHA256()))
        if not compare_digest(thumbprint.encode(), bound_to.encode()):
            raise UnprovenTokenError("another client certificate")
        return ""
        yield  # a flow without questions, because the certificate is in the request

    def _certificate(self, request: RequestView) -> Certificate | None:
        if self._header is None:
            return _from_pem(request.certificate or "")
        values = request.fields(self._header)
        if not self._proxies.includes(request.peer) or len(values) != 1 or len(values[0]) > _MAX_CERTIFICATE:
            return None
        if self._encoding == "pem":
            return _from_pem(unquote(values[0].decode("ascii")))
        encoded = _BYTE_SEQUENCE.match(values[0])
        return load_der_x509_certificate(b64decode(encoded[1], validate=True)) if encoded else None

    def __repr__(self) -> str:
        return f"MutualTLS(header={self._header!r}, proxies={list(map(str, self._proxies.networks))})"


def _from_pem(text: str) -> Certificate | None:
    return load_pem_x509_certificate(text.encode("ascii")) if _PEM.match(text) else None
