"""Issue access tokens that a guard verifies; the counterpart of `JWTVerifier`."""

import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from authguard._core.credential.extractor import MAX_CREDENTIAL
from authguard._core.options import (
    Duration,
    FixedOptions,
    check_clock,
    check_identifier,
    check_identifiers,
    check_mapping,
    check_text,
    check_whole_seconds,
    got,
    named_options,
)
from authguard._core.options.pickles import NeverPickled
from authguard._core.policy.names import check_names
from authguard._core.policy.rules import SCOPE
from authguard._core.strict_json import JSONError, parse_object
from authguard.errors import ConfigurationError
from authguard.issuing.remember import RememberTokens
from authguard.issuing.signing_key import read_signing_key
from authguard.verifiers.jwt import JWTVerifier

#: The longest lifetime of an access token in seconds: a day.
MAX_TTL = 86_400
_TYPE = "at+jwt"  # RFC 9068 section 2.1
# Claims that `issue` sets by its own options, and claims that would make it another kind of token.
_SET_HERE = {
    "iss": "TokenIssuer(issuer=…)",
    "aud": "TokenIssuer(audience=…)",
    "sub": "issue(subject)",
    "exp": "ttl=…",
    "nbf": "no nbf: a token is valid at once",
    "iat": "TokenIssuer(clock=…)",
    "jti": "no jti: each token gets its own",
    "scope": "scopes=[…]",
    "roles": "roles=[…]",
    "client_id": "client_id=…",
    "azp": "client_id=…",
    "sid": "session=…",
}
_OTHER_KINDS = frozenset(
    ("token_use", "token_type", "typ", "type", "nonce", "at_hash", "c_hash", "s_hash", "events")
)
_CLIENT = "client:"  # the beginning of the subject of a client's own token, for a guard


@named_options
class TokenIssuer(FixedOptions, NeverPickled):
    """Issue access tokens for the application's own users, for a `JWTVerifier` of a guard.

    Args:
        key: an HMAC secret of at least 32 random bytes, or a private key for EdDSA, ES256, RS256 and the
            other algorithms of `JWTVerifier`: PEM text, a private JWK (mapping or JSON text), a `Path` of
            a file with one of these, or an object of `cryptography`.
        issuer: the `iss`, such as the URL of the application.
        audience: the `aud`, the API that the tokens are for, or several.
        ttl: seconds, or a timedelta, for which a token is valid, 1 to 86400.
        algorithm: the signature algorithm; None for that of the key: HS256, RS256, EdDSA, or the one of the
            curve.
        key_id: the `kid`; None for that of the JWK, otherwise the thumbprint of a private key (RFC 7638); a
            secret has none.
        clock: seconds since the epoch.

    Attributes:
        algorithm: the signature algorithm.
        ttl: seconds for which a token is valid, if `issue` gets no other value.

    Raises:
        ConfigurationError: if the key is weak, public or encrypted, or an option has the wrong type or is out
            of range.
    """

    def __init__(
        self,
        key: object,
        *,
        issuer: str,
        audience: str | Iterable[str],
        ttl: float | Duration = 900,
        algorithm: str | None = None,
        key_id: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = read_signing_key(key, algorithm)
        self.algorithm = self._key.algorithm
        self._issuer = check_identifier(issuer, "issuer")
        self._audience = check_identifiers(audience, "audience")
        self.ttl = check_whole_seconds(ttl, "ttl", MAX_TTL, least=1)
        check_clock(clock)
        self._clock = clock
        if key_id is not None:
            check_text(key_id, "key_id")
        elif not self._key.is_secret:
            key_id = str(self._key.public_jwk()["kid"])
        self._key_id = key_id or self._key.key_id

    @named_options
    def issue(
        self,
        subject: str,
        *,
        scopes: Iterable[str] = (),
        roles: Iterable[str] = (),
        client_id: str | None = None,
        session: str | None = None,
        claims: Mapping[str, Any] | None = None,
        ttl: float | Duration | None = None,
    ) -> str:
        """Return a signed access token (RFC 9068), with a `jti` of its own.

        Args:
            subject: the `sub`: the user's identifier, such as the primary key as text. Do not use the e-mail
                address, because another user may get it later.
            scopes: the `scope`.
            roles: the `roles`.
            client_id: the OAuth client that the token is for.
            session: the `sid`, by which `revocations.revoke(session=…)` ends all tokens of a sign-in.
            claims: other claims. Claims that have an option here are refused, and those of other kinds of
                tokens, such as `nonce`.
            ttl: seconds, or a timedelta, instead of the issuer's.

        Raises:
            ConfigurationError: if an option has the wrong type or is out of range, or the claims are not JSON
                or too long for a header field.
        """
        if isinstance(subject, int):
            raise ConfigurationError(f"subject must be text, got {got(subject)}: write str(user.id)")
        check_text(subject, "subject")
        if subject.startswith(_CLIENT) and subject != f"{_CLIENT}{client_id}":
            raise ConfigurationError(
                f"subject must not begin with {_CLIENT!r}, got {got(subject)}: a guard takes that only "
                'for a client\'s own token, as in issue("client:billing", client_id="billing")'
            )
        now = int(self._clock())
        seconds = self.ttl if ttl is None else check_whole_seconds(ttl, "ttl", MAX_TTL, least=1)
        body: dict[str, Any] = {
            **_checked_claims(claims),
            "iss": self._issuer,
            "aud": self._audience[0] if len(self._audience) == 1 else list(self._audience),
            "sub": subject,
            "iat": now,
            "exp": now + seconds,
            "jti": secrets.token_urlsafe(16),
            **_granted(scopes, roles),
        }
        for name, value in (("client_id", client_id), ("sid", session)):
            if value is not None:
                body[name] = check_text(value, "client_id" if name == "client_id" else "session")
        return self._signed(body)

    def _signed(self, body: dict[str, Any]) -> str:
        try:
            parse_object(json.dumps(body, allow_nan=False))  # in the form that guards read
        except (TypeError, ValueError, RecursionError, JSONError) as error:
            raise ConfigurationError(
                f"claims must be values of JSON, got {type(error).__name__}: write dates and numbers as text"
            ) from None
        token = self._key.sign(body, _TYPE, self._key_id)
        if len(token) > MAX_CREDENTIAL:
            raise ConfigurationError(
                f"claims must leave a token of at most {MAX_CREDENTIAL} characters, got {len(token)}: a "
                "guard would refuse it"
            )
        return token

    @property
    def public_keys(self) -> dict[str, Any]:
        """Return the public key as a JWK set (RFC 7517), for verifiers in other services.

        Raises:
            ConfigurationError: if tokens are signed with a secret.
        """
        return {"keys": [{**self._key.public_jwk(), "kid": self._key_id}]}

    def verifier(self, **options: Any) -> JWTVerifier:
        """Return a verifier of these tokens, for `Guard`.

        It has the same key, issuer and audience, and accepts only tokens of the type `at+jwt`.

        Args:
            options: other options of `JWTVerifier`.

        Raises:
            ConfigurationError: as `JWTVerifier` does, and for an option that the issuer determines.
        """
        key: object = self._key.key if self._key.is_secret else self.public_keys
        decided: dict[str, Any] = {
            "algorithms": [self.algorithm],
            "issuer": self._issuer,
            "audience": self._audience,
            "token_types": [_TYPE],
        }
        for name in decided.keys() & options.keys():
            raise ConfigurationError(
                f"{name} must be left out, because the TokenIssuer sets it, got "
                f"{got(options[name])}: write JWTVerifier(…) for another"
            )
        return JWTVerifier(key, **decided, **options)

    def remember_tokens(self, lifetime: float | Duration) -> RememberTokens:
        """Return an issuer of remember tokens for browsers, with the same key and clock.

        Args:
            lifetime: seconds, or a timedelta, for which a browser is remembered, 1 to 34560000: 400 days, as
                long as browsers keep a cookie.

        Raises:
            ConfigurationError: if the lifetime has the wrong type or is out of range.
        """
        return RememberTokens(self._key, self._key_id, self._issuer, lifetime, self._clock)

    def __repr__(self) -> str:
        return f"TokenIssuer(issuer={self._issuer!r}, algorithm={self.algorithm!r}, ttl={self.ttl})"


def _granted(scopes: Iterable[str], roles: Iterable[str]) -> dict[str, Any]:
    """Return the claims for the granted scopes and roles; no claims if none are granted."""
    scope = " ".join(sorted(check_names(scopes, "scopes", SCOPE)))
    listed = sorted(check_names(roles, "roles", None))
    return {**({"scope": scope} if scope else {}), **({"roles": listed} if listed else {})}


def _checked_claims(claims: Mapping[str, Any] | None) -> dict[str, Any]:
    if claims is None:
        return {}
    checked = dict(check_mapping(claims, "claims", 'claims={"tenant": "a"}'))
    for name in checked:
        check_text(name, "each name of claims")
        if name in _SET_HERE:
            raise ConfigurationError(
                f"claims must not contain a claim that has its own argument, got {name}: write "
                f"{_SET_HERE[name]}"
            )
        if name in _OTHER_KINDS:
            raise ConfigurationError(
                f"claims must not mark another kind of token, which a guard refuses, got {name}: use another "
                "name"
            )
    return checked
