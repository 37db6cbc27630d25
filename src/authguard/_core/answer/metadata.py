"""Describe the protected resource, so that clients can find its authorization servers (RFC 9728)."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from authguard._core.answer.refusal import Headers, Refusal
from authguard._core.options import check_text, check_text_list, got, named_options
from authguard._core.policy.names import check_names
from authguard._core.policy.paths import is_canonical
from authguard._core.policy.rules import SCOPE
from authguard._core.proofs.uris import is_safe_origin, parse_uri
from authguard._core.verifier import Verifier
from authguard.errors import ConfigurationError

_WELL_KNOWN = "/.well-known/oauth-protected-resource"
_METHODS = "GET, HEAD, OPTIONS"
# Scripts of any site may read the document: it contains no secret, and does not depend on a credential.
_FIELDS: Headers = (
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", _METHODS),
    ("access-control-allow-headers", "*"),
    ("cache-control", "public, max-age=300"),
)
_SCOPE_MUST = "be ASCII without spaces, quotes and backslashes"
_ORIGIN = re.compile(r"(?P<origin>https?://[^/]+)(?P<path>/.*)?\Z")


@named_options
@dataclass(frozen=True, slots=True)
class ResourceMetadata:
    """Describe the protected resource, and its authorization servers.

    Args:
        resource: the URL by which clients know the application, such as `https://api.example.com/mcp`; it is
            compared character by character.
        authorization_servers: the issuers from which clients may get a token.
        scopes_supported: scopes that clients may request.
        resource_name: a name to display.

    Raises:
        ConfigurationError: if a URL is not https, or has a query or a fragment.
    """

    resource: str
    authorization_servers: Iterable[str] = ()
    scopes_supported: Iterable[str] = ()
    resource_name: str | None = None

    def __post_init__(self) -> None:
        _check_url(self.resource, "resource")
        for name in ("authorization_servers", "scopes_supported"):
            object.__setattr__(self, name, check_text_list(getattr(self, name), name))
        for scope in self.scopes_supported:
            check_text(scope, "each of scopes_supported", pattern=SCOPE, must=_SCOPE_MUST)
        check_names(self.scopes_supported, "scopes_supported", SCOPE)
        for server in self.authorization_servers:
            _check_url(server, "each of authorization_servers")
        if self.resource_name is not None:
            check_text(self.resource_name, "resource_name")
        if not is_canonical(self._path or "/"):
            raise ConfigurationError(
                f"resource must have a path that can be read in one way, got {got(self.resource)}"
            )

    @property
    def url(self) -> str:
        """Return the URL of the metadata.

        The well-known path comes before the resource's path (section 3.1).
        """
        match = _ORIGIN.match(self.resource)
        return f"{match['origin'] if match else ''}{_WELL_KNOWN}{self._suffix}"

    @property
    def paths(self) -> frozenset[str]:
        """Return the paths of the metadata, decoded.

        Also the one without the resource's path, which some clients use.
        """
        return frozenset({_WELL_KNOWN, unquote(_WELL_KNOWN + self._suffix)})

    @property
    def _path(self) -> str:
        return parse_uri(self.resource).path

    @property
    def _suffix(self) -> str:
        match = _ORIGIN.match(self.resource)
        path = (match["path"] if match else None) or ""
        return "" if path == "/" else path

    def document(self, **more: Any) -> bytes:
        """Return the metadata as JSON (section 2), without empty members (section 3.2).

        Args:
            more: the members that the guard adds about its proofs.
        """
        members = {
            "resource": self.resource,
            "authorization_servers": list(self.authorization_servers),
            "scopes_supported": list(self.scopes_supported),
            "bearer_methods_supported": ["header"],
            "resource_name": self.resource_name,
            **more,
        }
        return json.dumps({name: value for name, value in members.items() if value}).encode()


def other_audiences(metadata: ResourceMetadata, verifiers: Iterable[Verifier]) -> Iterator[str]:
    """Yield a sentence for each verifier whose tokens are for other audiences than the resource.

    A client asks the issuer for a token for `resource` (RFC 8707), so that its `aud` has this value with most
    issuers. A verifier of an issuer that the metadata do not name may have any audience.

    Args:
        metadata: the metadata.
        verifiers: the verifiers of the guard.
    """
    servers = metadata.authorization_servers
    for verifier in verifiers:
        issuers = {issuer for issuer, _ in verifier.jwts} or {None}
        is_named = not servers or None in issuers or not issuers.isdisjoint(servers)
        if is_named and verifier.audiences and metadata.resource not in verifier.audiences:
            yield (
                f"audience must contain the resource {metadata.resource!r}, for which clients request their "
                f"tokens, got {sorted(verifier.audiences)}: write audience={metadata.resource!r} if the "
                "issuer puts the resource into aud (RFC 8707)"
            )


class MetadataPage:
    """Answer requests for the metadata instead of the application; adapters ask it first.

    Args:
        metadata: the metadata.
        more: the members that the guard adds.
    """

    def __init__(self, metadata: ResourceMetadata, **more: Any) -> None:
        self.paths = metadata.paths
        self._document = metadata.document(**more)

    def answer(self, method: str, path: str) -> Refusal | None:
        """Return the answer; None if the request is for another path.

        Args:
            method: the HTTP method.
            path: decoded, below the mount point.
        """
        if path not in self.paths:
            return None
        if method in ("GET", "HEAD"):
            return Refusal(200, (("content-type", "application/json"), *_FIELDS), self._document)
        if method == "OPTIONS":
            return Refusal(200, _FIELDS, b"")
        return Refusal(405, (("allow", _METHODS),), b"")


def _check_url(text: object, name: str) -> None:
    try:
        uri = parse_uri(text) if isinstance(text, str) else None
    except ValueError:
        uri = None
    if not isinstance(text, str) or uri is None or "?" in text or "#" in text or '"' in text:
        raise ConfigurationError(
            f"{name} must be a URL such as 'https://api.example.com/mcp', without query and fragment, got "
            f"{got(text)}"
        )
    if not is_safe_origin(uri.origin):
        raise ConfigurationError(f"{name} must be https, or http on loopback, got {got(text)}")
