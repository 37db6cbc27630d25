"""Describe the credentials of a guard's callers as OpenAPI security schemes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from authguard._core.guard import Guard
from authguard._core.model import Kind
from authguard._core.policy.needs import Needs

#: The scheme of `current_user`, which does not know the guard.
BEARER = "Bearer"

_DPOP, _DPOP_PROOF, _MUTUAL_TLS, _OPENID = "DPoP", "DPoPProof", "MutualTLS", "OpenIDConnect"
#: The member of `cnf` for tokens that are bound to a key or certificate.
_KEY, _CERTIFICATE = "jkt", "x5t#S256"


class Schemes:
    """List the security schemes of a guard, and the security requirements of an operation.

    Args:
        guard: the guard.
        stated: the application's own schemes, by name.
        version: the version of OpenAPI. Before 3.1, only OAuth and OpenID Connect schemes can have scopes,
            and no scheme exists for certificates.
    """

    def __init__(self, guard: Guard, stated: Mapping[str, Mapping[str, Any]], version: str) -> None:
        self._is_old = version.startswith("3.0")
        self._stated = dict(stated)
        #: For the components of the document, by name.
        self.components: dict[str, dict[str, Any]] = {}
        self._together: list[tuple[str, ...]] = []  # the names of the schemes of each alternative
        self._kinds: dict[str, Kind] = {}  # kinds of credentials, as in `Rule(credentials=…)`
        if guard.reads_authorization:
            self._add_of_authorization(guard)
        for field in _names(guard.token_fields):
            description = "A JWT, without an authentication scheme."
            self._add("header", f"JWT-{field.title()}", _in_header(field, description=description))
        others = guard.credential_fields - guard.token_fields - {b"authorization", b"cookie"}
        # X-API-Key keeps its scheme name when fields are added.
        fields = sorted(_names(others), key=lambda name: name != "x-api-key")
        for number, field in enumerate(fields):
            self._add("api_key", f"APIKey-{field.title()}" if number else "APIKey", _in_header(field))
        if guard.cookie is not None:
            prefix = "__Host-" if guard.cookie.secure and guard.cookie.host_prefix else ""
            name = prefix + guard.cookie.name
            self._add("cookie", "Cookie", {"type": "apiKey", "in": "cookie", "name": name})

    def _add_of_authorization(self, guard: Guard) -> None:
        only_keys = all(verifier.is_for_keys for verifier in guard.verifiers)
        bearer = {"type": "http", "scheme": "bearer"}
        if only_keys:
            self._add("api_key", BEARER, bearer)
        else:
            self._add("bearer", BEARER, {**bearer, "bearerFormat": "JWT"})
        if _KEY in guard.proofs.members:
            self._add("dpop", _DPOP, {"type": "http", "scheme": "dpop", "bearerFormat": "JWT"}, _DPOP_PROOF)
            proof = "A proof of possession for this request (RFC 9449)."
            self.components[_DPOP_PROOF] = _in_header("DPoP", description=proof)
        if _CERTIFICATE in guard.proofs.members and not self._is_old:
            self.components[_MUTUAL_TLS] = {
                "type": "mutualTLS",
                "description": "A client certificate, if the token is bound to one (RFC 8705).",
            }
            self._together.append((BEARER, _MUTUAL_TLS))
        for name, url in _openid_configurations(guard):
            self._add("bearer", name, {"type": "openIdConnect", "openIdConnectUrl": url})

    def _add(self, kind: Kind, name: str, scheme: dict[str, Any], *others: str) -> None:
        self._kinds[name] = kind
        self.components[name] = scheme
        self._together.append((name, *others))

    def alternatives(self, names: list[str], scopes: set[str], needs: Needs) -> list[dict[str, list[str]]]:
        """Return the `security` of an operation: the alternative ways to authenticate.

        Args:
            names: the names of scopes and roles that each caller must have.
            scopes: the scopes of these, which a client of OpenID Connect may request; roles are none.
            needs: the needs of the rules, which may accept only some kinds of credentials.
        """
        taken = [each for each in self._together if needs.takes(self._kinds[each[0]])]
        return [
            {name: self._names_of(name, names, scopes) if name == first else [] for name in (first, *others)}
            for first, *others in taken or self._together  # an empty list would declare the operation open
        ]

    def are_credentials(self, names: Iterable[str], needs: Needs) -> bool:
        """Return whether the application's own schemes describe credentials that the guard accepts.

        Args:
            names: the names of the schemes.
            needs: as for `alternatives`.
        """
        read = {_place(self.components[name]) for name, kind in self._kinds.items() if needs.takes(kind)}
        return all(_place(self._stated.get(name, {})) in read for name in names)

    def is_openid(self, name: str) -> bool:
        """Return whether a scheme is one of OpenID Connect, whose names are scopes to request."""
        return self.components.get(name, {}).get("type") == "openIdConnect"

    def _names_of(self, name: str, names: list[str], scopes: set[str]) -> list[str]:
        if self.is_openid(name):
            return [each for each in names if each in scopes]
        return [] if self._is_old else names


def _place(scheme: Mapping[str, Any]) -> tuple[str, str]:
    """Return the place of a scheme's credential in a request."""
    if scheme.get("type") == "apiKey":
        where, name = str(scheme.get("in")), str(scheme.get("name"))
        return (where, name.lower() if where == "header" else name)
    if scheme.get("type") == "http":
        return ("authorization", str(scheme.get("scheme")).lower())
    return ("authorization", "bearer") if scheme.get("type") in ("oauth2", "openIdConnect") else ("", "")


def _names(fields: Iterable[bytes]) -> list[str]:
    return sorted(name.decode("ascii") for name in fields)


def _in_header(field: str, **more: str) -> dict[str, Any]:
    return {"type": "apiKey", "in": "header", "name": field, **more}


def _openid_configurations(guard: Guard) -> Iterator[tuple[str, str]]:
    """Yield the issuers whose metadata the guard discovers, with scheme names."""
    urls = [verifier.openid_configuration for verifier in guard.verifiers]
    for number, url in enumerate(dict.fromkeys(url for url in urls if url is not None)):
        yield f"{_OPENID}-{urlsplit(url).hostname}" if number else _OPENID, url
