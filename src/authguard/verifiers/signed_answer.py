"""Verify signed answers of an introspection endpoint: RFC 9701."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from authguard._core.flow import Channel, Flow, Response
from authguard._core.jose.claims import read_claims
from authguard._core.jose.compact import read_compact
from authguard._core.jose.issuers import check_key_issuer
from authguard._core.jose.keyset import KeySet, check_algorithms
from authguard._core.options import got, is_numeric_date
from authguard._core.remote.http import RemoteHealth
from authguard.errors import ConfigurationError, InvalidTokenError
from authguard.verifiers.key_source import UnusableAnswerError
from authguard.verifiers.open_keys import open_keys

SIGNED = "application/token-introspection+jwt"
_TYPE = "token-introspection+jwt"
_OLDEST = 60.0  # seconds since an answer was signed, in addition to the leeway


class AnswerKeys:
    """Verify that an answer was signed by the issuer, is for this client, and is fresh.

    Args:
        keys: the keys, as for `JWTVerifier`.
        algorithms: the algorithms of the issuer.
        issuer: the `iss` of answers.
        client_id: the `aud` of answers: the client id of the application.
        leeway: seconds by which clocks may differ.

    Raises:
        ConfigurationError: if keys cannot be used, or the issuer or client id is missing.
    """

    def __init__(
        self,
        keys: object,
        algorithms: Iterable[str],
        issuer: str | None,
        client_id: str | None,
        leeway: float,
    ) -> None:
        if issuer is None or client_id is None:
            raise ConfigurationError(
                "issuer and client_id must be given with answer_keys, since signed answers name both, got "
                f"{got(issuer)} and {got(client_id)}"
            )
        allowed = check_algorithms(algorithms, "answer_algorithms")
        try:
            self._keys = open_keys(keys, allowed)
        except ConfigurationError as error:  # its text names the option of JWTVerifier
            raise ConfigurationError(f"answer_keys: {error}") from None
        self._issuer = issuer
        self._client_id = client_id
        self._leeway = leeway

    def read(self, response: Response, now: float) -> Flow[Mapping[str, Any]]:
        """Return the `token_introspection` of an answer; its other claims have no meaning (section 5).

        Raises:
            UnusableAnswerError: if it is not a signed answer for this client.
            VerificationUnavailableError: if the issuer's keys cannot be fetched.
        """
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != SIGNED:
            raise UnusableAnswerError("the answer is not signed, but answer_keys are set")
        try:
            token = read_compact(response.body.decode("latin-1").strip())
            if token.header.type != _TYPE:
                raise UnusableAnswerError("the answer is a token of another type")
            if isinstance(self._keys, KeySet):
                key = self._keys.verify(token)
            else:
                key, _ = yield from self._keys.verify(token, now)
            _, claims = read_claims(token)
            if key.issuer is not None:
                check_key_issuer(key.issuer, claims.get("iss"))
        except InvalidTokenError as error:
            raise UnusableAnswerError(f"the signed answer is not valid: {error.reason}") from error
        return self._check(claims, now)

    def _check(self, claims: Mapping[str, Any], now: float) -> Mapping[str, Any]:
        audience = claims.get("aud")
        if self._client_id not in ([audience] if isinstance(audience, str) else audience or ()):
            raise UnusableAnswerError("the signed answer is for another client")
        if claims.get("iss") != self._issuer:
            raise UnusableAnswerError("the signed answer is from another issuer")
        signed_at: Any = claims.get("iat")
        if not is_numeric_date(signed_at) or not abs(now - signed_at) <= self._leeway + _OLDEST:
            raise UnusableAnswerError("the signed answer is too old or from the future")
        document = claims.get("token_introspection")
        if not isinstance(document, Mapping):
            raise UnusableAnswerError("the signed answer has no token_introspection")
        return document

    def channels(self) -> Sequence[Channel]:
        """Return its channels to the issuer."""
        return () if isinstance(self._keys, KeySet) else self._keys.channels()

    def health(self, now: float) -> Sequence[RemoteHealth]:
        """Return the state of the issuer."""
        return () if isinstance(self._keys, KeySet) else (self._keys.health(now),)
