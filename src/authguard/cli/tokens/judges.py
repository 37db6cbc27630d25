"""What `token inspect` has a token judged by: the verifier of a guard, or the service and its sessions."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from authguard._core.jose.compact import Token, read_compact
from authguard._core.jose.jwk import ASYMMETRIC, SYMMETRIC
from authguard._core.model import Credential, Principal
from authguard._core.strict_json import JSONError, parse_object
from authguard._core.verifier import Verifier, as_flow
from authguard.cli.configuration import open_service, read_settings
from authguard.cli.output import moment
from authguard.cli.tokens.explain import Expected, Finding, explain
from authguard.cli.tokens.private_keys import read_key_file, read_secret
from authguard.drivers import run
from authguard.errors import MalformedTokenError, RefusedError
from authguard.verifiers.jwt import JWTVerifier
from authguard.verifiers.remote import RemoteKeySet

if TYPE_CHECKING:
    from authguard.identity import IdentityService

_LEEWAY = 30.0  # the default of JWTVerifier
_URLS = ("https://", "http://")
_SIGN_IN = "Get a new one: sign in again."


@dataclass(frozen=True, slots=True)
class Judge:
    """Finds out whether a token would be accepted.

    Attributes:
        verifier: the real one.
        expected: what it asks for.
        state: what is known about the caller besides the token; None if nothing is against it.
    """

    verifier: Verifier
    expected: Expected
    state: Callable[[Principal], Finding | None]

    def find(self, text: str, claims: dict[str, object], now: float) -> Finding | None:
        """What is wrong with the token; None if it is accepted.

        Args:
            text: the token.
            claims: what it says, for the explanation.
            now: seconds since the epoch.
        """
        token: Token | None = None
        try:
            token = read_compact(text)
            flow = self.verifier.flow(Credential(text, "bearer"), now)
            principal = run(as_flow(flow)).principal
        except RefusedError as error:
            return explain(error, token, claims, self.expected, now)
        return _bound(principal) or self.state(principal)


def _bound(principal: Principal) -> Finding | None:
    """What a guard says of a token that comes without the proof that it asks for (RFC 7800)."""
    if "cnf" not in principal.claims:
        return None
    return Finding(
        "unproven",
        "it is bound to a key or a certificate (cnf), and the proof comes with each request",
        "Only a guard with proofs=[DPoP(…)] or MutualTLS(…) takes it, together with its proof.",
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """The options that say what to judge by.

    Attributes:
        key: a file with keys, or the URL of a key set.
        secret_env: a variable with the secret.
        discover: an issuer, whose metadata names its key set.
        issuer: the `iss` to expect.
        audience: the `aud` to expect.
        algorithm: what is allowed.
    """

    key: str | None
    secret_env: str | None
    discover: str | None
    issuer: str | None
    audience: Sequence[str]
    algorithm: Sequence[str]


@contextmanager
def judge_by_keys(asked: Asked) -> Iterator[Judge]:
    """A judge with the verifier that the options describe.

    Raises:
        ConfigurationError: if there can be no such verifier.
        Failure: if a key cannot be read.
    """
    # What it would warn of is said once, by the command.
    logging.getLogger("authguard").addHandler(logging.NullHandler())
    verifier = _verifier(asked)
    expected = Expected(verifier.algorithms, verifier.issuer, tuple(asked.audience), _LEEWAY)
    try:
        yield Judge(verifier, expected, lambda _: None)
    finally:
        for channel in verifier.channels():
            for opened in list(channel.opened.values()):
                opened.close()


def _verifier(asked: Asked) -> JWTVerifier:
    audience = list(asked.audience) or None
    if asked.discover is not None:
        algorithms = asked.algorithm or None
        return JWTVerifier.from_issuer(
            asked.discover, audience=audience, algorithms=algorithms, leeway=_LEEWAY
        )
    source: object
    if asked.key is not None and asked.key.startswith(_URLS):
        source, usual = RemoteKeySet(asked.key), ASYMMETRIC
    else:
        text = read_key_file(asked.key) if asked.key is not None else read_secret(asked.secret_env or "")
        is_secret = "-----BEGIN" not in text and not text.lstrip().startswith("{")
        # A secret goes in as bytes, so that none is taken for the path of a file.
        source, usual = (text.encode() if is_secret else text), _usual_algorithms(text)
    allowed = asked.algorithm or usual
    return JWTVerifier(source, algorithms=allowed, issuer=asked.issuer, audience=audience, leeway=_LEEWAY)


def _usual_algorithms(text: str) -> frozenset[str]:
    """What keys may be for if nothing is said: of secrets and of public keys, never both."""
    if "-----BEGIN" in text:
        return ASYMMETRIC
    if not text.lstrip().startswith("{"):
        return frozenset({"HS256"})
    try:
        jwk = parse_object(text)
    except JSONError:
        return ASYMMETRIC  # the verifier says what is wrong
    keys = jwk.get("keys", [jwk])
    first = keys[0] if isinstance(keys, list) and keys else None
    is_secret = isinstance(first, dict) and first.get("kty") == "oct"
    return SYMMETRIC if is_secret else ASYMMETRIC


@contextmanager
def judge_by_service(database: str | None, config: str | None) -> Iterator[Judge]:
    """A judge with the keys of the service, who looks at sessions and accounts, too.

    Raises:
        ConfigurationError: if settings are missing, or the tables are of another version.
    """
    settings = read_settings(config, database)
    expected = Expected(
        frozenset({settings.algorithm}), settings.issuer, (settings.token_audience,), leeway=0
    )
    with open_service(settings) as service:
        yield Judge(service.own_tokens, expected, lambda principal: _look_up(service, principal))


def _look_up(service: "IdentityService", principal: Principal) -> Finding | None:
    """What the service knows about the caller; see `Sessions.authenticate`, which decides."""
    from authguard.identity.storage import session_queries as store

    session = principal.claims.get("sid")
    if not isinstance(session, str):
        return _look_up_client(service, principal)
    if service.sessions.authenticate(principal) is not None:
        return None
    with service.database.read() as connection:
        found = store.find_session(connection, session)
    if found is not None and found[1].disabled:
        return Finding("disabled", "the account is disabled", "See authguard users enable.")
    if found is not None and found[0].ended_at is not None:
        ended = f"its session was ended at {moment(found[0].ended_at)}: logged out, or a new password"
        return Finding("logged_out", ended, _SIGN_IN)
    return Finding("session", "the service has no such session of this account", _SIGN_IN)


def _look_up_client(service: "IdentityService", principal: Principal) -> Finding | None:
    from authguard.identity.storage import queries as store

    if service.revocations.is_revoked(principal):
        return Finding("revoked", "it was revoked", "Have the client get a new one.")
    with service.database.read() as connection:
        found = store.find_client(connection, principal.subject)
    if found is None or found[0].disabled:
        return Finding(
            "disabled", "its client is unknown to the service, or disabled", "Register the client."
        )
    return None


def structure(text: str) -> Finding | None:
    """What is wrong with a token's form; all that can be told without a key."""
    try:
        read_compact(text)
    except MalformedTokenError as error:
        return explain(error, None, {}, Expected(frozenset(), None, (), 0), 0)
    return None
