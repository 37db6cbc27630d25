"""Describe in words for operators why a remote server cannot be reached.

The text of an exception is never shown, because it may contain the request.
"""

import errno
import ssl
from collections.abc import Iterator
from socket import EAI_AGAIN, gaierror

#: Codes of OpenSSL for certificates that are refused (X509_V_ERR_…), besides those of unknown issuers.
_CERTIFICATES = {
    9: "the certificate is not valid yet; check the clocks of both machines",
    10: "the certificate has expired",
    62: "the certificate is for another host",
    64: "the certificate is for another address",
}
_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH)
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """Return an exception, and those that led to it; each once."""
    waiting, seen = [error], set[int]()
    while waiting:
        error = waiting.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        if not isinstance(error, (ssl.SSLWantReadError, ssl.SSLWantWriteError)):  # each handshake has some
            yield error
        waiting += getattr(error, "exceptions", ())  # of a group: one for each address of the host
        waiting.append(error.__cause__ or error.__context__)


def words_for(error: BaseException) -> str:
    """Return why a connection failed, in words; the name of the exception for an unknown reason."""
    words = (_words(cause) for cause in causes_of(error))
    return next(filter(None, words), type(error).__name__)


def _words(error: BaseException) -> str:
    """Return the words for one exception; empty for an unknown one."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(error.verify_code, "the certificate is not trusted")
    if isinstance(error, ssl.SSLError):
        is_plain = error.reason in _NO_TLS
        return "the server does not speak TLS at the port" if is_plain else "the server and TLS do not agree"
    if isinstance(error, gaierror):
        is_temporary = error.errno == EAI_AGAIN
        return "the host cannot be looked up now" if is_temporary else "the host is not known"
    if isinstance(error, ConnectionRefusedError):
        return "no server listens at the port"
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return "no network leads to the host"
    return ""
