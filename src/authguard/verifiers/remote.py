"""Fetch key sets by URL: RFC 7517, fetched when needed and kept through outages."""

import logging
import random
import time
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple, cast

from authguard._core.flow import FetchFailedError, Flow, Response, Shared
from authguard._core.jose.compact import Token
from authguard._core.jose.documents import Document
from authguard._core.jose.jwk import ALIASES, ASYMMETRIC, VerificationKey
from authguard._core.jose.keyset import signer_of
from authguard._core.options import Duration, check_seconds, got
from authguard._core.remote.http import RemoteHealth, freshness, read_json, read_key_document, retry_after
from authguard._core.remote.keys import Parse, Plan, RemoteKeys
from authguard._core.strict_json import JSONError
from authguard.errors import Cause, ConfigurationError, InvalidSignatureError, VerificationUnavailableError
from authguard.verifiers.http import HTTPOptions, Remote, check_remote

logger = logging.getLogger("authguard")

_TIMEOUT = 3.0
_ACCEPT = {"accept": "application/jwk-set+json, application/json, */*;q=0.1"}
MAX_TTL = 86400.0
MAX_STALE = 7 * 86400.0


class UnusableAnswerError(Exception):
    """Report that a server has answered, and the answer is of no use.

    Args:
        reason: in words without secrets.
        pause: seconds that the server asks to be left alone.
        took: seconds that it took.
    """

    def __init__(self, reason: str, pause: float = 0.0, took: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause
        self.took = took


class Location(NamedTuple):
    """Say where a key set is, and what its issuer signs with, if it says so."""

    url: str
    algorithms: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RemoteKeySet:
    """Name the keys of an issuer, by the URL of its key set (`jwks_uri`).

    Nothing is fetched when this is built. The keys are fetched for the first token, refreshed in
    the background before they are due, and go on to be used while the issuer cannot be reached.
    A token that names an unknown key has them fetched again, a few times at once and then once
    in 30 seconds.

    Args:
        url: https, or http on loopback.
        ttl: seconds, or a timedelta, for which keys are fresh, 1 to 86400; a key that the issuer withdraws is
            refused after that. `Cache-Control` of the answer goes before it, within a minute and
            a day.
        max_stale: seconds, or a timedelta, for which the last good keys are used in an outage, at most a
            week; 0 answers with 503 as soon as they are not fresh.
        http: how the server is reached.

    Raises:
        ConfigurationError: for an option of another type or out of range.
    """

    url: str
    ttl: float | Duration = 300
    max_stale: float | Duration = 86400
    http: HTTPOptions | None = None

    def __post_init__(self) -> None:
        self.check()
        object.__setattr__(self, "ttl", check_seconds(self.ttl, "ttl", MAX_TTL, least=1))
        object.__setattr__(self, "max_stale", check_seconds(self.max_stale, "max_stale", MAX_STALE))

    def check(self) -> None:
        """Check the URL."""
        check_remote(self.url, "url", self.http)

    def open(self, algorithms: frozenset[str]) -> "KeySource":
        """Open the keys for one verifier, which shares neither them nor connections with others."""
        if not algorithms <= ASYMMETRIC:
            raise ConfigurationError(
                f"algorithms must be for signatures with a RemoteKeySet, got {got(sorted(algorithms))}: HMAC "
                "secrets are never fetched"
            )
        return self.source(Remote(self.http, _TIMEOUT, self.url), algorithms)

    def source(self, remote: Remote, algorithms: frozenset[str]) -> "KeySource":
        """Return what fetches the keys."""
        return KeySource(self, remote, algorithms)


class _Found(NamedTuple):
    """Hold the key of a token.

    Attributes:
        key: the key that the token names, or that has signed it; None if we have no such key.
        verified: whether the signature has been verified by it.
    """

    key: VerificationKey | None
    verified: bool


class KeySource:
    """Find the keys of one issuer for one verifier: flows over what `RemoteKeys` decides."""

    def __init__(self, key_set: RemoteKeySet, remote: Remote, algorithms: frozenset[str]) -> None:
        self.remote = remote
        self._url = key_set.url
        self._algorithms = algorithms
        self._state = RemoteKeys(
            key_set.url, cast("float", key_set.ttl), cast("float", key_set.max_stale), random.random
        )

    def verify(self, token: Token, now: float) -> Flow[tuple[VerificationKey, float]]:
        """Return the key that signed the token, and until when that may be remembered.

        Raises:
            InvalidSignatureError: if none of the issuer's did.
            VerificationUnavailableError: if the keys cannot be fetched.
        """
        header, state = token.header, self._state
        if ALIASES.get(header.algorithm, header.algorithm) not in self._algorithms:
            raise InvalidSignatureError("the token's alg is not among the algorithms", cause=Cause.ALGORITHM)
        found = self._find(token, now)
        plan = state.plan(header, found.key, now)
        if plan in (Plan.WAIT, Plan.REFRESH):
            seen = state.attempts
            state.fetching = True
            yield from Shared(
                self.remote.channel, "keys", lambda: self._refresh(seen, now), wait=plan is Plan.WAIT
            )
            if plan is Plan.WAIT:
                found = self._find(token, now)
                plan = state.plan_after(header, found.key, now)
        if plan is Plan.UNAVAILABLE:
            raise VerificationUnavailableError(
                f"the keys of {state.name} cannot be fetched: {state.reason}",
                retry_after=ceil(state.backoff.remaining(now)),
            )
        if found.key is None:
            raise InvalidSignatureError("no key for the token's alg and kid", cause=Cause.UNKNOWN_KEY)
        if not found.verified and not found.key.verifies(token.signed, token.signature):
            raise InvalidSignatureError("the signature does not verify")
        return found.key, state.usable_until(now)

    def _find(self, token: Token, now: float) -> "_Found":
        """Find the key of a token.

        One that names no key of ours is tried with the few that it can mean; if none of them signed it,
        it may be by their successor.
        """
        candidates = self._state.candidates(token.header, now)
        if candidates and self._state.has(token.header.key_id):
            return _Found(candidates[0], verified=False)
        return _Found(signer_of(token, candidates), verified=True)

    def _refresh(self, seen: int, now: float) -> Flow[None]:
        state = self._state
        if state.attempts != seen:  # somebody has fetched since this was decided
            state.fetching = False
            return
        state.fetching = True
        try:
            location = yield from self.locate(now)
            response = yield from ask(self.remote, location.url, _ACCEPT, now)
            ttl = freshness(response.headers, state.ttl)
            document = read_keys(response)
            try:
                state.succeeded(document, Parse(self._algorithms, location.algorithms), ttl, now)
            except ConfigurationError as error:
                raise UnusableAnswerError(str(error), took=response.took) from error
        except (FetchFailedError, UnusableAnswerError) as error:
            self.forget()
            state.failed(str(error), now + error.took)
            if isinstance(error, UnusableAnswerError):
                state.backoff.pause(now + error.took, error.pause)
            logger.warning("the keys of %s cannot be fetched: %s", state.name, error)
        finally:
            state.fetching = False
            state.attempts += 1

    @property
    def key_set_url(self) -> str | None:
        """Return the URL that the keys were fetched from, as far as it is known."""
        return self._url

    def locate(self, now: float) -> Flow[Location]:
        """Return where the key set is now."""
        return Location(self._url)
        yield  # a flow that asks nothing

    def forget(self) -> None:
        """Forget where the key set is, so that it is found out again."""

    def health(self, now: float | None) -> RemoteHealth:
        """Return how the issuer is doing; None for now."""
        return self._state.health(time.time() if now is None else now)


def ask(remote: Remote, url: str, headers: dict[str, str], now: float) -> Flow[Response]:
    """Fetch a document that is there.

    Raises:
        UnusableAnswerError: unless the status is 200.
    """
    response = yield from remote.fetch("GET", url, headers=headers)
    if response.status != 200:
        pause = retry_after(response.headers, now) or 0.0
        raise UnusableAnswerError(f"{url} answers with status {response.status}", pause, response.took)
    return response


def read_document(response: Response, *, static: bool = False) -> dict[str, object]:
    """Return the JSON object of an answer.

    Args:
        response: the answer.
        static: whether it may be a file, of which servers do not know that it is JSON.

    Raises:
        UnusableAnswerError: if it is none.
    """
    try:
        return read_json(response, static=static)
    except JSONError as error:
        raise _unreadable(error, response) from error


def read_keys(response: Response) -> Document:
    """Return the key set of an answer, in JSON or PEM.

    Raises:
        UnusableAnswerError: if it is none.
    """
    try:
        return read_key_document(response)
    except JSONError as error:
        raise _unreadable(error, response) from error


def _unreadable(error: JSONError, response: Response) -> UnusableAnswerError:
    return UnusableAnswerError(f"the answer cannot be read: {error}", took=response.took)
