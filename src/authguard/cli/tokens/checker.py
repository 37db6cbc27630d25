"""Check tokens for `token inspect`: with the verifier of a guard, or with the service and its sessions."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from authguard._core.jose.compact import Token, read_compact
from authguard._core.jose.jwk import ASYMMETRIC, SYMMETRIC
from authguard._core.model import Credential, Principal
from authguard._core.strict_json import JSONError, parse_object
from authguard._core.verifier import Verifier, as_flow
from authguard.cli.configuration import read_settings
from authguard.cli.output import MISUSED, Failure, moment
from authguard.cli.service import open_service
from authguard.cli.tokens.explain import Expected, Finding, explain
from authguard.cli.tokens.private_keys import form_of_key, read_key_file, read_secret
from authguard.drivers import run
from authguard.errors import MalformedTokenError, RefusedError
from authguard.verifiers.jwt import JWTVerifier
from authguard.verifiers.remote import RemoteKeySet

if TYPE_CHECKING:
    from authguard.identity import IdentityService

_LEEWAY_SECONDS = 30.0  # the default of JWTVerifier
_URLS = ("https://", "http://")
_SIGN_IN = "Get a new one: sign in again."


@dataclass(frozen=True, slots=True)
class TokenChecker:
    """Check whether a token would be accepted.

    Attributes:
        verifier: the verifier of a guard or of the service.
        expected: the expectations of the verifier.
        find_state: looks up the caller after the token was verified, and returns the reason against it, if
            any.
    """

    verifier: Verifier
    expected: Expected
    find_state: Callable[[Principal], Finding | None]

    def find(
        self, text: str, claims: dict[str, object], now: float
    ) -> tuple[Finding | None, Principal | None]:
        """Return the fault of a token, or None, and the principal of a valid token.

        Args:
            text: the token.
            claims: its claims, for the explanation.
            now: seconds since the epoch.
        """
        token: Token | None = None
        try:
            token = read_compact(text, padding=True)
            flow = self.verifier.flow(Credential(text, "bearer"), now)
            principal = run(as_flow(flow)).principal
        except RefusedError as error:
            return explain(error, token, claims, self.expected, now), None
        return _bound(principal) or self.find_state(principal), principal

    def unusable(self, claims: dict[str, object]) -> list[str]:
        """Return, in words, which claims should grant scopes or roles but cannot be used for that."""
        return self.verifier.unusable_claims(claims) if isinstance(self.verifier, JWTVerifier) else []


def _bound(principal: Principal) -> Finding | None:
    """Return the fault of a token that a guard accepts only with a proof (RFC 7800)."""
    if "cnf" not in principal.claims:
        return None
    return Finding(
        "unproven",
        "it is bound to a key or certificate (cnf), and each request needs a proof",
        "Only a guard with proofs=[DPoP(…)] or MutualTLS(…) accepts it, together with its proof.",
    )


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """Hold the options for checking a token.

    Attributes:
        key: a file with keys, or the URL of a key set.
        secret_env: a variable with the secret.
        discover: an issuer, whose metadata names its key set.
        issuer: the `iss` to expect.
        audience: the `aud` to expect.
        algorithm: the allowed algorithms.
        tenant: the allowed values of `{tenantid}` in the issuer.
        client_id: the expected clients.
        expect_claim: claims to expect, as `NAME=TEXT` or `NAME:=JSON`.
        expect_header: the same, for the header.
        subject_claim: the claim of the subject.
        scope_claim: the claim of the scopes.
        role_claim: the claim of the roles.
        padding: whether the parts of the token may end in `=`.
    """

    key: str | None
    secret_env: str | None
    discover: str | None
    issuer: str | None
    audience: Sequence[str]
    algorithm: Sequence[str]
    tenant: Sequence[str] = ()
    client_id: Sequence[str] = ()
    expect_claim: Sequence[str] = ()
    expect_header: Sequence[str] = ()
    subject_claim: Sequence[str] = ()
    scope_claim: Sequence[str] = ()
    role_claim: Sequence[str] = ()
    padding: bool = False

    @property
    def of_verifier(self) -> dict[str, Any]:
        """Return the options of `JWTVerifier` that do not concern keys."""
        options: dict[str, Any] = {
            "tenants": self.tenant,
            "client_ids": self.client_id,
            "claims": _members(self.expect_claim, "--expect-claim"),
            "header_claims": _members(self.expect_header, "--expect-header"),
            "subject_claims": self.subject_claim,
            "scope_claims": self.scope_claim,
            "role_claims": self.role_claim,
            "padding": self.padding,
        }
        return {name: value for name, value in options.items() if value}


def _members(pairs: Sequence[str], option: str) -> dict[str, Any]:
    """Parse `NAME=TEXT` and `NAME:=JSON`; repeated names are alternatives.

    Raises:
        Failure: if the text has another form.
    """
    members: dict[str, list[Any]] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.removesuffix(":"):
            raise Failure(f"{option} takes NAME=TEXT, or NAME:=JSON for numbers and true or false", MISUSED)
        if name.endswith(":"):
            try:
                members.setdefault(name[:-1], []).append(json.loads(value))
            except ValueError:
                raise Failure(f"{option} {name}=… must be followed by JSON, such as true", MISUSED) from None
        else:
            members.setdefault(name, []).append(value)
    return members


@contextmanager
def checker_by_keys(options: CheckOptions) -> Iterator[TokenChecker]:
    """Build a checker whose verifier has the given options.

    Raises:
        ConfigurationError: if the verifier cannot be built.
        Failure: if a key cannot be read.
    """
    # The command reports its warnings once.
    logging.getLogger("authguard").addHandler(logging.NullHandler())
    verifier = _verifier(options)
    expected = Expected(verifier.algorithms, verifier.issuer, tuple(options.audience), _LEEWAY_SECONDS)
    try:
        yield TokenChecker(verifier, expected, lambda _: None)
    finally:
        for channel in verifier.channels():
            for opened in list(channel.opened.values()):
                opened.close()


def _verifier(options: CheckOptions) -> JWTVerifier:
    audience = list(options.audience) or None
    if options.discover is not None:
        algorithms = options.algorithm or None
        return JWTVerifier.from_issuer(
            options.discover,
            audience=audience,
            algorithms=algorithms,
            leeway=_LEEWAY_SECONDS,
            **options.of_verifier,
        )
    source: object
    if options.key is not None and options.key.startswith(_URLS):
        source, usual = RemoteKeySet(options.key), ASYMMETRIC
    elif options.key is not None:
        source, usual = _key_of_text(read_key_file(options.key))
    else:
        source, usual = _key_of_text(read_secret(options.secret_env or ""))
    return JWTVerifier(
        source,
        algorithms=options.algorithm or usual,
        issuer=options.issuer,
        audience=audience,
        leeway=_LEEWAY_SECONDS,
        **options.of_verifier,
    )


def _key_of_text(text: str) -> tuple[str | bytes, frozenset[str]]:
    """Return a key in the form of the verifier's option, and its use: secrets or public keys, never both."""
    form = form_of_key(text)
    if form == "secret":
        return text.encode(), frozenset({"HS256"})  # text might be mistaken for the path of a file
    return text, SYMMETRIC if form == "jwk" and _is_secret_jwk(text) else ASYMMETRIC


def _is_secret_jwk(text: str) -> bool:
    try:
        jwk = parse_object(text)
    except JSONError:
        return False  # the verifier reports the fault
    keys = jwk.get("keys", [jwk])
    first = keys[0] if isinstance(keys, list) and keys else None
    return isinstance(first, dict) and first.get("kty") == "oct"


@contextmanager
def checker_by_service(database: str | None, config: str | None) -> Iterator[TokenChecker]:
    """Build a checker with the keys of the service, which also checks sessions and accounts.

    Raises:
        ConfigurationError: if settings are missing, or the tables are of another version.
    """
    settings = read_settings(config, database)
    expected = Expected(
        frozenset({settings.algorithm}), settings.issuer, (settings.token_audience,), leeway=0
    )
    with open_service(settings) as service:
        yield TokenChecker(service.own_tokens, expected, lambda principal: _look_up(service, principal))


def _look_up(service: "IdentityService", principal: Principal) -> Finding | None:
    """Return the service's reason against the caller; see `Sessions.authenticate`, which decides."""
    from authguard.identity.storage import session_queries as store

    session = principal.claims.get("sid")
    if not isinstance(session, str):
        return _look_up_client(service, principal)
    if service.sessions.authenticate(principal) is not None:
        return None
    with service.database.read() as connection:
        row = store.find_session(connection, session)
    if row is not None and row[1].disabled:
        return Finding("disabled", "the account is disabled", "See authguard users enable.")
    if row is not None and row[0].ended_at is not None:
        ended = f"its session was ended at {moment(row[0].ended_at)}: logged out, or a new password"
        return Finding("logged_out", ended, _SIGN_IN)
    return Finding("session", "the service has no such session of this account", _SIGN_IN)


def _look_up_client(service: "IdentityService", principal: Principal) -> Finding | None:
    from authguard.identity.storage import queries as store
    from authguard.identity.storage.revocation_queries import is_revoked

    with service.database.read() as connection:
        if is_revoked(connection, principal, service.clock()):
            return Finding("revoked", "it was revoked", "The client must request a new one.")
        row = store.find_client(connection, principal.subject)
    if row is None or row.client.disabled:
        return Finding(
            "disabled", "its client is unknown to the service, or disabled", "Register the client."
        )
    return None


def fault_of_form(text: str, *, padding: bool) -> Finding | None:
    """Return the fault of a token's form, which needs no key."""
    try:
        read_compact(text, padding=padding or "=" in text.rpartition(".")[0])
        if "=" in text and not padding:
            return Finding(
                "malformed",
                "its parts end in =, which the JWT standard forbids",
                "AWS load balancers do this: use --padding, and JWTVerifier(padding=True).",
            )
    except MalformedTokenError as error:
        return explain(error, None, {}, Expected(frozenset(), None, (), 0), 0)
    return None
