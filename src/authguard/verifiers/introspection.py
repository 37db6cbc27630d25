"""Check whether a credential is active at its issuer: RFC 7662, RFC 9701."""

import logging
import random
import re
import time
from collections.abc import Iterable, Sequence
from math import ceil
from urllib.parse import urlencode

from authguard._core.flow import Channel, FetchFailedError, Flow, Response
from authguard._core.jose.claim_paths import ClaimName
from authguard._core.jose.conditions import Values
from authguard._core.jose.issuers import check_single_issuer
from authguard._core.model import Credential
from authguard._core.options import (
    Duration,
    check_object,
    check_seconds,
    check_text,
    check_text_list,
    got,
    named_options,
    shown_url,
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

logger = logging.getLogger("authguard")

_TIMEOUT = 5.0
_ERROR = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]{1,100}\Z")  # RFC 6749 section 5.2
_WARNING_SECONDS = 60.0
MAX_TTL = 3600
_THRESHOLD = 3
_DEFAULT_PAUSE = 5.0
_OVERLOADED = 429
# Statuses of a failed server. A plain 500 is not among them: one token may cause it repeatedly, and must not
# block the introspection of others.
_DOWN = frozenset({502, 503, 504})
_CREDENTIALS = ": check the credentials of this application, client_id and client_secret, or auth="
_ENDPOINT = ": check the URL of the endpoint"
#: The advice of the log after a status.
_REMEDIES = {401: _CREDENTIALS, 403: _CREDENTIALS, 404: _ENDPOINT, 405: _ENDPOINT}


@named_options
class IntrospectionVerifier(Verifier):
    """Verify opaque tokens, JWTs or API keys by the issuer's introspection endpoint.

    Simultaneous requests with the same credential share one introspection request. An outage is a 503: a
    credential is never refused because the endpoint did not answer. If it does not answer, later requests do
    not wait for it; one of them tries it from time to time.

    Args:
        endpoint: https, or http on loopback.
        client_id: the client id at the endpoint, for `client_secret_basic`.
        client_secret: the client secret.
        auth: another way to authenticate there, instead of client id and secret.
        issuer: the issuer of the credentials; an answer with another `iss` is refused.
        audience: the accepted `aud`, or several; None accepts only answers without `aud`.
        jwt: verifies JWTs first, so that only valid ones are introspected; its principal is used then.
        header: the field of API keys. With this or `prefixes`, the verifier is for API keys, otherwise for
            Bearer tokens.
        prefixes: the prefixes of API keys, by which `Authorization: Bearer sk_live_…` is recognised as a key.
        token_type_hint: the hint about the credential in the request; None for no hint.
        cache_ttl: seconds, or a timedelta, for which an answer is cached, 0 to 3600; a revoked credential
            works for that long. 0 sends a request each time. Inactive answers are cached for at most 10
            seconds.
        leeway: seconds, or a timedelta, by which clocks may differ, 0 to 300.
        required_claims: members that an answer must have.
        scope_claims: the claims of scopes, as for `JWTVerifier`.
        role_claims: the claims of roles, as for `JWTVerifier`.
        tier_claim: the claim of the tier, as for `JWTVerifier`.
        subject_claims: the claims of the subject, as for `JWTVerifier`; such as `["username"]` for
            django-oauth-toolkit.
        client_ids: the clients whose credentials are accepted, as for `JWTVerifier`.
        claims: required values of other members of an answer, as for `JWTVerifier`.
        answer_keys: the keys of signed answers (RFC 9701), as the keys of `JWTVerifier`; then all answers
            must be signed. None requests plain answers.
        answer_algorithms: the algorithms of signed answers.
        http: the connection to the endpoint.

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
        self._issuer = check_single_issuer(issuer)
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
        self.audiences = self._expected.audience
        self.gives_tiers = tier_claim is not None or (jwt is not None and jwt.gives_tiers)
        if self._expected.subject_claims is not None:
            self.own_subjects_of = frozenset({self._issuer})
        self._remote = Remote(http, _TIMEOUT, self._endpoint)
        self.channel = self._remote.channel
        self._answer_keys = _answer_keys(
            answer_keys, answer_algorithms, issuer, self._auth.client_id, self._expected.leeway
        )
        self._breaker = Breaker(random.random, _THRESHOLD)
        self._reason = ""
        self._asked_at: float | None = None
        self._warned_at = float("-inf")

    def accepts(self, credential: Credential) -> bool:
        """Return whether to verify a credential.

        The verifier accepts API keys if `header` or `prefixes` are set, otherwise tokens.
        """
        if credential.method == "api_key":
            return self.is_for_keys and self.carries(credential)
        return not self.is_for_keys

    def flow(self, credential: Credential, now: float) -> Flow[Verified]:
        """Introspect the credential, unless the result is cached."""
        local = None
        if self._jwt is not None and self._jwt.accepts(credential):
            local = yield from as_flow(self._jwt.flow(credential, now))
        digest = self._inactive.digest(credential)
        if self._inactive.has(digest, now):
            raise InvalidTokenError(
                "the introspection endpoint reports it as not active", cause=Cause.INACTIVE
            )
        wait = self._breaker.blocked(now, self._remote.timeout)
        if wait:
            raise self._unavailable(self._reason, wait)
        try:
            response = yield from self._send(credential.value, now)
        except FetchFailedError as error:
            weight = _THRESHOLD if error.kind == "timeout" else 1
            self._breaker.failed(now, now + error.took, weight)
            raise self._unavailable(str(error), self._breaker.backoff.remaining(now)) from error
        pause = self._note(response, now)
        try:
            if response.status != 200:
                remedy = _REMEDIES.get(response.status, "")
                raise UnusableAnswerError(f"the status of its answer is {response.status}{remedy}", pause)
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
        """Record the answer's status for the next requests, and return the pause that it asks for."""
        pause = retry_after(response.headers, now) or 0.0
        if response.status in _DOWN:
            self._breaker.failed(now, now + response.took)
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
            # Retry once: no connection was made, or the server has just closed an idle one.
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
        if "error" in document and "active" not in document:
            self._warn_of_error(document["error"], now)
        principal = principal_of(document, self._expected, self._issuer, credential.method, now)
        until = now + self._cache_ttl
        if principal.expires_at is not None:
            until = min(until, principal.expires_at)
        if local is None:
            return Verified(principal, until)
        check_same(local.principal, principal, document)
        return Verified(local.principal, min(until, local.until))

    def _warn_of_error(self, error: object, now: float) -> None:
        """Log an error that the endpoint answers with status 200: the token only seems to be inactive."""
        if 0 <= now - self._warned_at < _WARNING_SECONDS:
            return
        self._warned_at = now
        shown = error if isinstance(error, str) and _ERROR.match(error) else "another error"
        logger.warning(
            "introspection at %s answers with status 200 and the error %s, without active: the token is "
            "refused as inactive",
            shown_url(self._endpoint),
            shown,
        )

    def _unavailable(self, reason: str, wait: float) -> VerificationUnavailableError:
        self._reason = reason
        return VerificationUnavailableError(
            f"introspection at {shown_url(self._endpoint)}: {reason}", retry_after=ceil(wait)
        )

    def channels(self) -> Sequence[Channel]:
        """Return its channels to remotes."""
        others = [*(self._jwt.channels() if self._jwt else ())]
        others += self._answer_keys.channels() if self._answer_keys else ()
        return [self._remote.channel, *others]

    def health(self, now: float | None) -> Sequence[RemoteHealth]:
        """Return the state of the endpoint, and of the issuer's keys."""
        moment = time.time() if now is None else now
        failures = self._breaker.failures
        if self._reason:
            own = RemoteHealth(shown_url(self._endpoint), "failing", failures, self._reason, self._asked_at)
        else:
            unused = self._asked_at is None
            own = RemoteHealth(
                shown_url(self._endpoint), "unused" if unused else "fresh", 0, "", self._asked_at
            )
        others = [*(self._jwt.health(moment) if self._jwt else ())]
        others += self._answer_keys.health(moment) if self._answer_keys else ()
        return [own, *others]

    def __repr__(self) -> str:
        return f"IntrospectionVerifier({shown_url(self._endpoint)!r})"


def _check_jwt(jwt: JWTVerifier | None) -> JWTVerifier | None:
    check_object(jwt, "jwt", JWTVerifier, "jwt=JWTVerifier(…)")
    if jwt is not None and jwt.token_header is not None:
        raise ConfigurationError(
            f"jwt must be for the introspected credentials, got {jwt!r} for the field "
            f"{jwt.token_header}: leave its header= out"
        )
    return jwt


def _answer_keys(
    keys: object, algorithms: Iterable[str], issuer: str | None, client_id: str | None, leeway: float
) -> AnswerKeys | None:
    if keys is not None:
        return AnswerKeys(keys, algorithms, issuer, client_id, leeway)
    if algorithms != ("RS256",):  # another value than the default
        raise ConfigurationError(
            f"answer_algorithms must be left out without answer_keys, got {got(algorithms)}: write "
            "answer_keys=RemoteKeySet(url) if answers are signed"
        )
    return None


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
            "client_id and client_secret, or auth=ClientAuth.…, must be given, because the endpoint "
            f"authenticates clients, got {'no client_secret' if client_id is not None else 'no client_id'}"
        )
    return ClientAuth.basic(client_id, client_secret)
