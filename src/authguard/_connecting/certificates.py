"""Load the certificates of authorities that are trusted, of an option and of the environment."""

import os
import ssl
from contextlib import suppress
from functools import cache
from importlib import import_module

from authguard.errors import ConfigurationError

_FILE, _FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"


def tls_context(ca_bundle: str | os.PathLike[str] | None) -> ssl.SSLContext:
    """Return the context for connections.

    Args:
        ca_bundle: a PEM file with trusted certificates; None for those of the environment, or of certifi.

    Raises:
        ConfigurationError: if the certificates cannot be read; the error names the option or the variable.
    """
    import_parts_of_httpx()
    if ca_bundle is None:
        check_environment_certificates()
        return _usual_tls()
    try:
        return ssl.create_default_context(cafile=os.fspath(ca_bundle))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"ca_bundle must be a file of certificates in PEM, got {os.fspath(ca_bundle)!r}, which cannot be "
            "read"
        ) from error


def check_environment_certificates() -> None:
    """Check the file and the folder of certificates that httpx takes from the environment.

    Raises:
        ConfigurationError: if they cannot be read; the error names the variable.
    """
    if file := os.environ.get(_FILE):
        try:
            ssl.create_default_context(cafile=file)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"the variable {_FILE} must be a file of certificates in PEM, got {file!r}, which cannot be "
                "read"
            ) from error
    elif (folder := os.environ.get(_FOLDER)) and not any(map(os.path.isdir, folder.split(os.pathsep))):
        raise ConfigurationError(
            f"the variable {_FOLDER} must be a folder of certificates, got {folder!r}, which is none"
        )


@cache
def import_parts_of_httpx() -> None:
    """Import the late imports of httpx, because an import in the first request would block an event loop."""
    for name in ("httpcore", "anyio._backends._asyncio"):
        with suppress(ImportError):
            import_module(name)


@cache
def _usual_tls() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()
