"""Check tokens for `token inspect`: by the verifier of a guard, or by the service and its sessions."""

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
    """Find out whether a token would be accepted.

    Attributes:
        verifier: the verifier of a guard or of the service.
        expected: what it expects.
        find_state: looks up the caller, besides the token, and returns what is against it, if anything.
    """

    verifier: Verifier
    expected: Expected
    find_state: Callable[[Principal], Finding | None]

    def find(
        self, text: str, claims: dict[str, object], now: float
    ) -> tuple[Finding | None, Principal | None]:
        """Return the fault of a token, None if it is accepted; and whose it is, if it is good.

        Args:
            text: the token.
            claims: what it says, for the explanation.
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
        """Return, in words, which claims should grant scopes or roles and are of no use for that."""
        return self.verifier.unusable_claims(claims) if isinstance(self.verifier, JWTVerifier) else []


def _bound(principal: Principal) -> Finding | None:
    """Return the fault of a token that a guard takes together with a proof alone (RFC 7800)."""
    if "cnf" not in principal.claims:
        return None
    return Finding(
        "unproven",
        "it is bound to a key or a certificate (cnf), and the proof comes with each request",
        "Only a guard with proofs=[DPoP(…)] or MutualTLS(…) takes it, together with its proof.",
    )


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """Hold the options that say what to check a token by.

    Attributes:
        key: a file with keys, or the URL of a key set.
        secret_env: a variable with the secret.
        discover: an issuer, whose metadata names its key set.
        issuer: the `iss` to expect.
        audience: the `aud` to expect.
        algorithm: what is allowed.
        tenant: what may stand for `{tenantid}` in the issuer.
        client_id: the clients to expect.
        expect_claim: claims to expect, as `NAME=TEXT` or `NAME:=JSON`.
        expect_header: the same for the header.
        subject_claim: where the subject is.
        scope_claim: where scopes are.
        role_claim: where roles are.
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
        """Return those that are options of `JWTVerifier`, whatever the keys are."""
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
    """Read `NAME=TEXT` and `NAME:=JSON`; several of a name are a choice.

    Raises:
        Failure: for anything else.
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
    """Make a checker with the verifier that the options describe.

    Raises:
        ConfigurationError: if there can be no such verifier.
        Failure: if a key cannot be read.
    """
    # What it would warn of is said once, by the command.
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
    """Return a key as the verifier takes it, and what it may be for: secrets or public keys, never both."""
    form = form_of_key(text)
    if form == "secret":
        return text.encode(), frozenset({"HS256"})  # text might be taken for the path of a file
    return text, SYMMETRIC if form == "jwk" and _is_secret_jwk(text) else ASYMMETRIC


def _is_secret_jwk(text: str) -> bool:
    try:
        jwk = parse_object(text)
    except JSONError:
        return False  # the verifier says what is wrong
    keys = jwk.get("keys", [jwk])
    first = keys[0] if isinstance(keys, list) and keys else None
    return isinstance(first, dict) and first.get("kty") == "oct"


@contextmanager
def checker_by_service(database: str | None, config: str | None) -> Iterator[TokenChecker]:
    """Make a checker with the keys of the service, which looks at sessions and accounts, too.

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
    """Return what the service has against the caller; see `Sessions.authenticate`, which decides."""
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
            return Finding("revoked", "it was revoked", "Have the client get a new one.")
        row = store.find_client(connection, principal.subject)
    if row is None or row.client.disabled:
        return Finding(
            "disabled", "its client is unknown to the service, or disabled", "Register the client."
        )
    return None


def fault_of_form(text: str, *, padding: bool) -> Finding | None:
    """Return the fault of a token's form; all that can be told without a key."""
    try:
        read_compact(text, padding=padding or "=" in text.rpartition(".")[0])
        if "=" in text and not padding:
            return Finding(
                "malformed",
                "its parts end in =, as those of no JWT should",
                "Load balancers of AWS write it so: --padding takes it, and JWTVerifier(padding=True).",
            )
    except MalformedTokenError as error:
        return explain(error, None, {}, Expected(frozenset(), None, (), 0), 0)
    return None
