"""Warn once if requests are not for the path or host of the issuer, or have paths that no route can match."""

import logging
from urllib.parse import unquote, urlsplit

from authguard._core.hosts import is_host, is_loopback
from authguard._core.policy.mounts import below
from authguard.asgi import Scope

logger = logging.getLogger("authguard")


class MountedPath:
    """Compare the mount point and the host of requests with their paths, and with the issuer.

    Args:
        issuer: the issuer.
        has_pages: whether the service has pages, whose links in mails begin with the issuer.
    """

    def __init__(self, issuer: str, *, has_pages: bool) -> None:
        parts = urlsplit(issuer)
        self._issuer, self._issuer_path = issuer, unquote(parts.path)
        self._compares_pages = has_pages
        self._compares_paths = True
        self._compares_hosts = is_loopback(parts.hostname or "")

    def check(self, scope: Scope) -> None:
        """Log the faults that a request shows, each once.

        Args:
            scope: of type http.
        """
        root_path = scope.get("root_path") or ""
        if self._compares_paths and root_path and (missing := _missing_root(root_path, scope["path"])):
            self._compares_paths = False
            logger.warning(
                "paths of requests must begin with the root path %r, got paths without %r, which are "
                "answered with 404: start the server with `--root-path %s` instead of "
                "FastAPI(root_path=%r), or let the proxy pass the whole path",
                root_path,
                missing,
                missing,
                missing,
            )
        if self._compares_pages and root_path != self._issuer_path:
            self._compares_pages = False
            logger.warning(
                "pages are at the path %r, and mails lead to that of the issuer, %r: mount the service "
                "there, start the server with the root path %r, or change the issuer",
                root_path,
                self._issuer_path,
                self._issuer_path,
            )
        if self._compares_hosts and (host := _public_name(scope)):
            self._compares_hosts = False
            logger.warning(
                "requests come for the host %s, and the issuer is %s, this machine, to which links in mails "
                "lead, and whose scheme decides about Secure cookies: write https://%s%s as the issuer",
                host,
                self._issuer,
                host,
                self._issuer_path,
            )


def _public_name(scope: Scope) -> str:
    """Return the host of a request with a dot in its name, as those of other machines; empty for another."""
    sent = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
    host, _, port = sent.partition(":")
    is_public = "." in host and is_host(host) and not is_loopback(host)
    return sent if is_public and (not port or port.isdecimal()) else ""


def _missing_root(root_path: str, path: str) -> str:
    """Return the beginning of the root path that a path lacks, although it has the rest; empty for none.

    Starlette adds the path of a mount to the root path, and leaves the path as it is. So neither a router nor
    the guard finds the rest of a path that lacks the root path of the outer application.
    """
    if below(root_path, path) != path:
        return ""
    end = root_path.find("/", 1)
    while end > 0:
        if below(root_path[end:], path) != path:
            return root_path[:end]
        end = root_path.find("/", end + 1)
    return ""
