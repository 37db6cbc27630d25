"""Find the key of a token among fetched keys: flows that ask the issuer when necessary."""

import logging
import random
import time
from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from authguard._core.flow import Channel, FetchFailedError, Flow, Response, Shared
from authguard._core.jose.compact import Header, Token
from authguard._core.jose.documents import Document
from authguard._core.jose.jwk import ALIASES, VerificationKey
from authguard._core.jose.keyset import signer_of
from authguard._core.options import shown_url
from authguard._core.remote.http import RemoteHealth, freshness, read_json, read_key_document, retry_after
from authguard._core.remote.keys import HeldKeys, Parse, Plan, RemoteKeys
from authguard._core.strict_json import JSONError
from authguard.errors import Cause, ConfigurationError, InvalidSignatureError, VerificationUnavailableError
from authguard.verifiers.http import Remote

logger = logging.getLogger("authguard")

MAX_LOGGED = 256  # reasons that are remembered
MAX_SHOWN = 500  # characters of a reason, which contains a kid of any length
_ACCEPT = {"accept": "application/jwk-set+json, application/json, */*;q=0.1"}


class UnusableAnswerError(Exception):
    """Report that a server has sent an unusable answer.

    Args:
        reason: the reason, without secrets.
        pause: seconds for which the server asks to send no requests.
        took: seconds that the answer took.
        is_missing: whether the answer reports that the URL does not exist.
    """

    def __init__(
        self, reason: str, pause: float = 0.0, took: float = 0.0, *, is_missing: bool = False
    ) -> None:
        super().__init__(reason)
        self.pause = pause
        self.took = took
        self.is_missing = is_missing


class Location(NamedTuple):
    """Describe the URL of a key set, and the algorithms of its issuer, if known."""

    url: str
    algorithms: frozenset[str] = frozenset()


class Place(NamedTuple):
    """Describe the URL of keys, and the seconds for which they are fresh, and usable in an outage."""

    url: str
    ttl: float
    max_stale: float


class _KeyOfToken(NamedTuple):
    """Hold the key of a token.

    Attributes:
        key: the key that the token names, or that signed it; None if no known key does.
        verified: whether the signature was verified with it.
        held: the keys that were searched; None for no keys.
    """

    key: VerificationKey | None
    verified: bool
    held: HeldKeys | None


class KeySource:
    """Find the keys of one issuer for one verifier: flows around the decisions of `RemoteKeys`.

    Args:
        place: the URL, and the times for which keys are used.
        remote: the server.
        algorithms: the allowed algorithms of the keys.
    """

    def __init__(self, place: Place, remote: Remote, algorithms: frozenset[str]) -> None:
        self.remote = remote
        self._url = place.url
        self._algorithms = algorithms
        self._logged: set[str] = set()
        self._state = RemoteKeys(place.url, place.ttl, place.max_stale, random.random)

    def verify(self, token: Token, now: float) -> Flow[tuple[VerificationKey, float]]:
        """Return the key that signed the token, and the time until which it may be remembered.

        Raises:
            InvalidSignatureError: if no key of the issuer signed it.
            VerificationUnavailableError: if the keys cannot be fetched.
        """
        header = token.header
        if ALIASES.get(header.algorithm, header.algorithm) not in self._algorithms:
            raise InvalidSignatureError("the token's alg is not among the algorithms", cause=Cause.ALGORITHM)
        state = self.state_for(header, now)
        seen = state.attempts
        candidate = _find(state, token, now)
        plan = state.plan(header, candidate.key, candidate.held, now)
        if plan is Plan.REFRESH:
            yield from self._fetch(state, seen, now, wait=False)
        elif plan is Plan.WAIT:
            candidate = yield from self._fetch_and_find(state, seen, token, now)
            plan = state.plan_after(header, candidate.key, now)
        if plan is Plan.UNAVAILABLE:
            raise VerificationUnavailableError(
                f"the keys of {state.shown} cannot be fetched: {state.reason}",
                retry_after=ceil(state.backoff.remaining(now)),
            )
        if plan is Plan.REFUSE or candidate.key is None or candidate.held is None:
            raise InvalidSignatureError("no key for the token's alg and kid", cause=Cause.UNKNOWN_KEY)
        if not candidate.verified and not candidate.key.verifies(token.signed, token.signature):
            raise InvalidSignatureError("the signature does not verify")
        return candidate.key, state.usable_until(candidate.held, now)

    def _fetch_and_find(self, state: RemoteKeys, seen: int, token: Token, now: float) -> Flow[_KeyOfToken]:
        """Wait for a fetch, and look again."""
        yield from self._fetch(state, seen, now)
        # A fetch that others began may be older than this token, whose key may be new or withdrawn since.
        if not state.is_as_new_as(now):
            seen = state.attempts
            candidate = _find(state, token, now)
            if state.plan(token.header, candidate.key, candidate.held, now) is not Plan.WAIT:
                return candidate
            yield from self._fetch(state, seen, now)
        return _find(state, token, now)

    def _fetch(self, state: RemoteKeys, seen: int, now: float, *, wait: bool = True) -> Flow[None]:
        """Fetch, unless an attempt has ended since the keys were searched, when `seen` attempts had ended."""
        state.fetching = True
        yield from Shared(self.remote.channel, state.name, lambda: self._refresh(seen, now, state), wait=wait)

    def _refresh(self, seen: int, now: float, state: RemoteKeys | None = None) -> Flow[None]:
        state = state or self._state
        if state.attempts != seen:  # another request has fetched since this was decided
            state.fetching = False
            return
        state.fetching = True
        try:
            location = yield from self.locate(state, now)
            response = yield from ask(self.remote, location.url, _ACCEPT, now)
            ttl = freshness(response.headers, state.ttl)
            document = read_keys(response)
            try:
                state.succeeded(document, self.parser(location, state), ttl, now)
            except ConfigurationError as error:
                raise UnusableAnswerError(str(error), took=response.took) from error
            self._warn_of_faults(state)
            self.fetched(state)
        except (FetchFailedError, UnusableAnswerError) as error:
            self.failed(state, error, now)
        finally:
            state.fetching = False
            state.attempts += 1

    def _warn_of_faults(self, state: RemoteKeys) -> None:
        """Log why keys are skipped, each reason once: tokens with these keys are refused."""
        for reason in state.faults:
            if reason in self._logged:
                continue
            if len(self._logged) >= MAX_LOGGED:  # an issuer may have a new reason in each answer
                self._logged.clear()
            self._logged.add(reason)
            logger.warning("a key of %s is skipped: %s", state.shown, reason[:MAX_SHOWN])

    def state_for(self, header: Header, now: float) -> RemoteKeys:
        """Return the keys that include the key of a token.

        Raises:
            InvalidSignatureError: if no key fits.
            VerificationUnavailableError: if this cannot be determined now.
        """
        return self._state

    def parser(self, location: Location, state: RemoteKeys) -> Parse:
        """Return the parser of the keys at a location."""
        return Parse(self._algorithms, location.algorithms)

    def fetched(self, state: RemoteKeys) -> None:
        """Record that the keys were fetched."""

    def failed(self, state: RemoteKeys, error: FetchFailedError | UnusableAnswerError, now: float) -> None:
        """Record that they could not be fetched, and log it."""
        self.forget()
        state.failed(str(error), now + error.took)
        if isinstance(error, UnusableAnswerError):
            state.backoff.pause(now + error.took, error.pause)
        logger.warning("the keys of %s cannot be fetched: %s", state.shown, error)

    @property
    def key_set_url(self) -> str | None:
        """Return the URL from which the keys were fetched, if known."""
        return self._url

    def locate(self, state: RemoteKeys, now: float) -> Flow[Location]:
        """Return the current location of the keys."""
        return Location(state.name)
        yield  # makes this function a flow without questions

    def forget(self) -> None:
        """Forget the location of the key set, so that it is discovered again."""

    def channels(self) -> Sequence[Channel]:
        """Return its channels to the issuer."""
        return (self.remote.channel,)

    def health(self, now: float | None) -> RemoteHealth:
        """Return the state of the issuer; None for now."""
        return self._state.health(time.time() if now is None else now)


def _find(state: RemoteKeys, token: Token, now: float) -> _KeyOfToken:
    """Find the key of a token.

    A token without a known `kid` is tried with the few keys that fit. If none of them signed it, a newer key
    may have.
    """
    held = state.held(now)
    if held is None:
        return _KeyOfToken(None, verified=False, held=None)
    key = held.keys.find(token.header)
    if key is not None and key.key_id is not None and key.key_id == token.header.key_id:
        return _KeyOfToken(key, verified=False, held=held)
    return _KeyOfToken(signer_of(token, held.keys.candidates(token.header)), verified=True, held=held)


def ask(remote: Remote, url: str, headers: dict[str, str], now: float) -> Flow[Response]:
    """Fetch a document.

    Raises:
        UnusableAnswerError: if the status is not 200.
    """
    response = yield from remote.fetch("GET", url, headers=headers)
    if response.status != 200:
        pause = retry_after(response.headers, now) or 0.0
        raise UnusableAnswerError(
            f"{shown_url(url)} answers with status {response.status}",
            pause,
            response.took,
            is_missing=_is_missing(response),
        )
    return response


def _is_missing(response: Response) -> bool:
    """Return whether an answer reports that the document is missing.

    S3 has another status for anonymous requests.
    """
    if response.status in (404, 410):
        return True
    return response.status == 403 and b"<Code>AccessDenied</Code>" in response.body[:1000]


def read_document(response: Response, *, static: bool = False) -> dict[str, object]:
    """Return the JSON object of an answer.

    Args:
        response: the answer.
        static: whether it may be a static file, which servers may not label as JSON.

    Raises:
        UnusableAnswerError: if it is not JSON.
    """
    try:
        return read_json(response, static=static)
    except JSONError as error:
        raise _unreadable(error, response) from error


def read_keys(response: Response) -> Document:
    """Return the key set of an answer, in JSON or PEM.

    Raises:
        UnusableAnswerError: if it is not JSON.
    """
    try:
        return read_key_document(response)
    except JSONError as error:
        raise _unreadable(error, response) from error


def _unreadable(error: JSONError, response: Response) -> UnusableAnswerError:
    return UnusableAnswerError(f"the answer cannot be read: {error}", took=response.took)
