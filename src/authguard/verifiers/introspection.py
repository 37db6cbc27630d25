"""Ask the issuer whether a credential is active: RFC 7662, RFC 9701."""

import random
import time
from collections.abc import Iterable, Sequence
from math import ceil
from urllib.parse import urlencode

from authguard._core.flow import Channel, FetchFailedError, Flow, Response
from authguard._core.jose.claim_paths import ClaimName
from authguard._core.jose.conditions import Values
from authguard._core.jose.issuers import one_issuer
from authguard._core.model import Credential
from authguard._core.options import (
    Duration,
    check_object,
    check_seconds,
    check_text,
    check_text_list,
)
from authguard._core.remote.http import Breaker, RemoteHealth, retry_after
from authguard._core.remote.introspection import check_same, principal_of
from authguard._core.verifier import Verified, Verifier, as_flow, check_key_field
from authguard.errors import (
    Cause,
    ConfigurationError,
    InvalidTokenError,
    VerificationUnavailableError,
)
from authguard.verifiers.client_auth import ClientAuth
from authguard.verifiers.expectations import expectations
from authguard.verifiers.http import HTTPOptions, Remote, check_remote
from authguard.verifiers.inactive import InactiveCredentials
from authguard.verifiers.jwt import JWTVerifier
from authguard.verifiers.key_source import UnusableAnswerError, read_document
from authguard.verifiers.signed_answer import SIGNED, AnswerKeys

_TIMEOUT = 5.0
MAX_TTL = 3600
_THRESHOLD = 3
_DEFAULT_PAUSE = 5.0
_OVERLOADED = 429
# The server behind the address is down. A plain 500 is not among them: one token may cause it
# again and again, and must not keep others from being asked about.
_DOWN = frozenset({502, 503, 504})


class IntrospectionVerifier(Verifier):
    """Verify opaque tokens, JWTs or API keys by asking the issuer's introspection endpoint.

    All who present the same credential at the same time share one question. An outage is a 503:
    a credential is never refused because nobody could be asked. When the endpoint does not answer,
    requests do not wait for it any more, and one of them tries it now and then.

    Args:
        endpoint: https, or http on loopback.
        client_id: our name at the endpoint, for `client_secret_basic`.
        client_secret: our secret.
        auth: another way to authenticate there, in the place of the two.
        issuer: who issues the credentials; an answer that names another is refused.
        audience: the `aud` that names us, or several; None accepts only answers without `aud`.
        jwt: verifies JWTs first, so that only good ones are asked about; what it says about the
            caller counts then.
        header: the field that carries API keys. With this or `prefixes` the verifier is for API
            keys, else for Bearer tokens.
        prefixes: what API keys start with, so that `Authorization: Bearer sk_live_…` is known as one.
        token_type_hint: what to tell the endpoint about the credential; None for nothing.
        cache_ttl: seconds, or a timedelta, for which an answer is remembered, 0 to 3600, which is also how
            long a revoked credential may work; 0 asks for each request. Refusals are remembered for at
            most 10.
        leeway: seconds, or a timedelta, by which clocks may differ, 0 to 300.
        required_claims: members that an answer must have.
        scope_claims: where scopes are, as for `JWTVerifier`.
        role_claims: where roles are, as for `JWTVerifier`.
        tier_claim: where the tier is, as for `JWTVerifier`.
        subject_claims: where the subject is, as for `JWTVerifier`; such as `["username"]` for
            django-oauth-toolkit.
        client_ids: the clients whose credentials are taken, as for `JWTVerifier`.
        claims: what other members of an answer must be, as for `JWTVerifier`.
        answer_keys: what signed answers (RFC 9701) are verified with, as the keys of `JWTVerifier`;
            all answers must be signed then. None asks for plain ones.
        answer_algorithms: the algorithms of signed answers.
        http: how the endpoint is reached.

    Raises:
        ConfigurationError: if an option has the wrong type or is out of range.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        auth: ClientAuth | None = None,
        issuer: str | None = None,
        audience: str | Iterable[str] | None = None,
        jwt: JWTVerifier | None = None,
        header: str | None = None,
        prefixes: Iterable[str] = (),
        token_type_hint: str | None = "access_token",
        cache_ttl: float | Duration = 30,
        leeway: float | Duration = 30,
        required_claims: Iterable[str] = (),
        scope_claims: Iterable[ClaimName] = ("scope",),
        role_claims: Iterable[ClaimName] = ("roles",),
        tier_claim: ClaimName | None = None,
        subject_claims: Iterable[ClaimName] | None = None,
        client_ids: str | Iterable[str] | None = None,
        claims: Values | None = None,
        answer_keys: object = None,
        answer_algorithms: Iterable[str] = ("RS256",),
        http: HTTPOptions | None = None,
    ) -> None:
        self._endpoint = check_remote(endpoint, "endpoint", http)
        self._auth = _client_auth(client_id, client_secret, auth, self._endpoint, http)
        self._issuer = one_issuer(issuer)
        self._jwt = _check_jwt(jwt)
        self.openid_configuration = None if jwt is None else jwt.openid_configuration
        self.header = None if header is None else check_key_field(header)
        self.prefixes = check_text_list(prefixes, "prefixes", '"sk_live_"')
        self.takes_any_token = not self.is_for_keys
        self.jwts = jwt.jwts if jwt is not None and self.takes_any_token else frozenset()
        self._hint = None if token_type_hint is None else check_text(token_type_hint, "token_type_hint")
        self._cache_ttl = check_seconds(cache_ttl, "cache_ttl", MAX_TTL)
        self._inactive = InactiveCredentials(self._cache_ttl)
        self._expected = expectations(
            issuer=None,
            audience=audience,
            leeway=leeway,
            required_claims=required_claims,
            token_types=(None,),
            scope_claims=scope_claims,
            role_claims=role_claims,
            tier_claim=tier_claim,
            subject_claims=subject_claims,
            client_ids=client_ids,
            claims=claims,
        )
        if self._expected.subject_claims is not None:
            self.own_subjects_of = frozenset({self._issuer})
        self._remote = Remote(http, _TIMEOUT, self._endpoint)
        self.channel = self._remote.channel
        self._answer_keys = (
            AnswerKeys(answer_keys, answer_algorithms, issuer, self._auth.client_id, self._expected.leeway)
            if answer_keys is not None
            else None
        )
        self._breaker = Breaker(random.random, _THRESHOLD)
        self._reason = ""
        self._asked_at: float | None = None

    def accepts(self, credential: Credential) -> bool:
        """Tell an API key of the field or a prefix, where there is one, and a token elsewhere."""
        if credential.method == "api_key":
            return self.is_for_keys and self.carries(credential)
        return not self.is_for_keys

    def flow(self, credential: Credential, now: float) -> Flow[Verified]:
        """Ask whether the credential is active, unless that is known."""
        local = None
        if self._jwt is not None and self._jwt.accepts(credential):
            local = yield from as_flow(self._jwt.flow(credential, now))
        digest = self._inactive.digest(credential)
        if self._inactive.has(digest, now):
            raise InvalidTokenError(
                "the introspection endpoint has said that it is not active", cause=Cause.INACTIVE
            )
        wait = self._breaker.blocked(now, self._remote.timeout)
        if wait:
            raise self._unavailable(self._reason, wait)
        try:
            response = yield from self._send(credential.value, now)
        except FetchFailedError as error:
            self._breaker.failed(now + error.took, _THRESHOLD if error.kind == "timeout" else 1)
            raise self._unavailable(str(error), self._breaker.backoff.remaining(now)) from error
        pause = self._note(response, now)
        try:
            if response.status != 200:
                raise UnusableAnswerError(f"it answers with status {response.status}", pause)
            verified = yield from self._read(response, credential, local, now)
        except UnusableAnswerError as error:
            raise self._unavailable(str(error), error.pause) from error
        except VerificationUnavailableError as error:
            raise self._unavailable(error.reason, error.retry_after) from error
        except InvalidTokenError:
            self._inactive.put(digest, now)
            self._asked_at, self._reason = now, ""
            raise
        self._asked_at, self._reason = now, ""
        return verified

    def _note(self, response: Response, now: float) -> float:
        """Note what the answer's status means for the next requests; returns the pause that it asks for."""
        pause = retry_after(response.headers, now) or 0.0
        if response.status in _DOWN:
            self._breaker.failed(now + response.took)
        else:
            self._breaker.succeeded()
        if response.status == _OVERLOADED:
            pause = pause or _DEFAULT_PAUSE
            self._breaker.backoff.pause(now + response.took, pause)
        return pause

    def _send(self, token: str, now: float) -> Flow[Response]:
        proof = self._auth.proof(self._issuer or self._endpoint, now)
        hint = [("token_type_hint", self._hint)] if self._hint else []
        question = self._remote.fetch(
            "POST",
            self._endpoint,
            headers={
                "accept": SIGNED if self._answer_keys else "application/json",
                "content-type": "application/x-www-form-urlencoded",
                **proof.headers,
            },
            body=urlencode([("token", token), *hint, *proof.form]).encode("ascii"),
        )
        try:
            return (yield from question)
        except FetchFailedError as error:
            # Once more: nobody was there, or it has just closed the connection that was kept.
            if error.kind not in ("connect", "broken"):
                raise
        return (yield from question)

    def _read(
        self, response: Response, credential: Credential, local: Verified | None, now: float
    ) -> Flow[Verified]:
        if self._answer_keys is not None:
            document = yield from self._answer_keys.read(response, now)
        else:
            document = read_document(response)
        principal = principal_of(document, self._expected, self._issuer, credential.method, now)
        until = now + self._cache_ttl
        if principal.expires_at is not None:
            until = min(until, principal.expires_at)
        if local is None:
            return Verified(principal, until)
        check_same(local.principal, principal, document)
        return Verified(local.principal, min(until, local.until))

    def _unavailable(self, reason: str, wait: float) -> VerificationUnavailableError:
        self._reason = reason
        return VerificationUnavailableError(
            f"introspection at {self._endpoint}: {reason}", retry_after=ceil(wait)
        )

    def channels(self) -> Sequence[Channel]:
        """Return what it reaches remotes through."""
        others = [*(self._jwt.channels() if self._jwt else ())]
        others += self._answer_keys.channels() if self._answer_keys else ()
        return [self._remote.channel, *others]

    def health(self, now: float | None) -> Sequence[RemoteHealth]:
        """Return how the endpoint is doing, and the issuer's keys."""
        moment = time.time() if now is None else now
        failures = self._breaker.failures
        if self._reason:
            own = RemoteHealth(self._endpoint, "failing", failures, self._reason, self._asked_at)
        else:
            unused = self._asked_at is None
            own = RemoteHealth(self._endpoint, "unused" if unused else "fresh", 0, "", self._asked_at)
        others = [*(self._jwt.health(moment) if self._jwt else ())]
        others += self._answer_keys.health(moment) if self._answer_keys else ()
        return [own, *others]

    def __repr__(self) -> str:
        return f"IntrospectionVerifier({self._endpoint!r})"


def _check_jwt(jwt: JWTVerifier | None) -> JWTVerifier | None:
    check_object(jwt, "jwt", JWTVerifier, "jwt=JWTVerifier(…)")
    if jwt is not None and jwt.token_header is not None:
        raise ConfigurationError(
            f"jwt must be for the credentials that are asked about, got {jwt!r} for the field "
            f"{jwt.token_header}: leave its header= out"
        )
    return jwt


def _client_auth(
    client_id: str | None,
    client_secret: str | None,
    auth: ClientAuth | None,
    endpoint: str,
    http: HTTPOptions | None,
) -> ClientAuth:
    if auth is not None:
        if client_id is not None or client_secret is not None:
            raise ConfigurationError("auth must be left out with client_id and client_secret, got both")
        check_object(auth, "auth", ClientAuth, "auth=ClientAuth.basic(…), .post(…) or .bearer(…)")
        auth.check(endpoint, http)
        return auth
    if client_id is None or client_secret is None:
        raise ConfigurationError(
            "client_id and client_secret, or auth=ClientAuth.…, must be given, since the endpoint asks who "
            "we "
            f"are, got {'no client_secret' if client_id is not None else 'no client_id'}"
        )
    return ClientAuth.basic(client_id, client_secret)
