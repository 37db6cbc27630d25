"""Find the key of a token among those that are fetched: flows, which ask the issuer when there is need."""

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
from authguard._core.remote.http import RemoteHealth, freshness, read_json, read_key_document, retry_after
from authguard._core.remote.keys import Parse, Plan, RemoteKeys
from authguard._core.strict_json import JSONError
from authguard.errors import Cause, ConfigurationError, InvalidSignatureError, VerificationUnavailableError
from authguard.verifiers.http import Remote

logger = logging.getLogger("authguard")

_ACCEPT = {"accept": "application/jwk-set+json, application/json, */*;q=0.1"}


class UnusableAnswerError(Exception):
    """Report that a server has answered, and the answer is of no use.

    Args:
        reason: in words without secrets.
        pause: seconds that the server asks to be left alone.
        took: seconds that it took.
        is_missing: whether it says that there is nothing at the URL.
    """

    def __init__(
        self, reason: str, pause: float = 0.0, took: float = 0.0, *, is_missing: bool = False
    ) -> None:
        super().__init__(reason)
        self.pause = pause
        self.took = took
        self.is_missing = is_missing


class Location(NamedTuple):
    """Say where a key set is, and what its issuer signs with, if it says so."""

    url: str
    algorithms: frozenset[str] = frozenset()


class Place(NamedTuple):
    """Say where keys are, and for how many seconds they are fresh, and used in an outage."""

    url: str
    ttl: float
    max_stale: float


class _Found(NamedTuple):
    """Hold the key of a token.

    Attributes:
        key: the key that the token names, or that has signed it; None if we have no such key.
        verified: whether the signature has been verified by it.
    """

    key: VerificationKey | None
    verified: bool


class KeySource:
    """Find the keys of one issuer for one verifier: flows over what `RemoteKeys` decides.

    Args:
        place: the URL, and for how long keys are used.
        remote: how the server is reached.
        algorithms: what the keys may be for.
    """

    def __init__(self, place: Place, remote: Remote, algorithms: frozenset[str]) -> None:
        self.remote = remote
        self._url = place.url
        self._algorithms = algorithms
        self._state = RemoteKeys(place.url, place.ttl, place.max_stale, random.random)

    def verify(self, token: Token, now: float) -> Flow[tuple[VerificationKey, float]]:
        """Return the key that signed the token, and until when that may be remembered.

        Raises:
            InvalidSignatureError: if none of the issuer's did.
            VerificationUnavailableError: if the keys cannot be fetched.
        """
        header = token.header
        if ALIASES.get(header.algorithm, header.algorithm) not in self._algorithms:
            raise InvalidSignatureError("the token's alg is not among the algorithms", cause=Cause.ALGORITHM)
        state = self.state_for(header, now)
        found = _find(state, token, now)
        plan = state.plan(header, found.key, now)
        if plan is Plan.REFRESH:
            yield from self._fetch(state, now, wait=False)
        elif plan is Plan.WAIT:
            yield from self._fetch(state, now)
            # One that others had begun may be older than this token: its key may be new, or withdrawn by now.
            is_old = not state.is_as_new_as(now)
            if is_old and state.plan(header, _find(state, token, now).key, now) is Plan.WAIT:
                yield from self._fetch(state, now)
            found = _find(state, token, now)
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

    def _fetch(self, state: RemoteKeys, now: float, *, wait: bool = True) -> Flow[None]:
        seen = state.attempts
        state.fetching = True
        yield from Shared(self.remote.channel, state.name, lambda: self._refresh(seen, now, state), wait=wait)

    def _refresh(self, seen: int, now: float, state: RemoteKeys | None = None) -> Flow[None]:
        state = state or self._state
        if state.attempts != seen:  # somebody has fetched since this was decided
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
            self.fetched(state)
        except (FetchFailedError, UnusableAnswerError) as error:
            self.failed(state, error, now)
        finally:
            state.fetching = False
            state.attempts += 1

    def state_for(self, header: Header, now: float) -> RemoteKeys:
        """Return the keys among which that of a token is.

        Raises:
            InvalidSignatureError: if it has none.
            VerificationUnavailableError: if it cannot be told now whether it has one.
        """
        return self._state

    def parser(self, location: Location, state: RemoteKeys) -> Parse:
        """Return what reads the keys at a location."""
        return Parse(self._algorithms, location.algorithms)

    def fetched(self, state: RemoteKeys) -> None:
        """Note that the keys have come."""

    def failed(self, state: RemoteKeys, error: FetchFailedError | UnusableAnswerError, now: float) -> None:
        """Note that they have not, and say so in the log."""
        self.forget()
        state.failed(str(error), now + error.took)
        if isinstance(error, UnusableAnswerError):
            state.backoff.pause(now + error.took, error.pause)
        logger.warning("the keys of %s cannot be fetched: %s", state.name, error)

    @property
    def key_set_url(self) -> str | None:
        """Return the URL that the keys were fetched from, as far as it is known."""
        return self._url

    def locate(self, state: RemoteKeys, now: float) -> Flow[Location]:
        """Return where the keys are now."""
        return Location(state.name)
        yield  # a flow that asks nothing

    def forget(self) -> None:
        """Forget where the key set is, so that it is found out again."""

    def channels(self) -> Sequence[Channel]:
        """Return what it reaches the issuer through."""
        return (self.remote.channel,)

    def health(self, now: float | None) -> RemoteHealth:
        """Return how the issuer is doing; None for now."""
        return self._state.health(time.time() if now is None else now)


def _find(state: RemoteKeys, token: Token, now: float) -> _Found:
    """Find the key of a token.

    One that names no key of ours is tried with the few that it can mean; if none of them signed it,
    it may be by their successor.
    """
    key = state.find(token.header, now)
    if key is not None and key.key_id is not None and key.key_id == token.header.key_id:
        return _Found(key, verified=False)
    return _Found(signer_of(token, state.candidates(token.header, now)), verified=True)


def ask(remote: Remote, url: str, headers: dict[str, str], now: float) -> Flow[Response]:
    """Fetch a document that is there.

    Raises:
        UnusableAnswerError: unless the status is 200.
    """
    response = yield from remote.fetch("GET", url, headers=headers)
    if response.status != 200:
        pause = retry_after(response.headers, now) or 0.0
        raise UnusableAnswerError(
            f"{url} answers with status {response.status}",
            pause,
            response.took,
            is_missing=_is_missing(response),
        )
    return response


def _is_missing(response: Response) -> bool:
    """Return whether an answer says that there is nothing; that of S3 has another status for strangers."""
    if response.status in (404, 410):
        return True
    return response.status == 403 and b"<Code>AccessDenied</Code>" in response.body[:1000]


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
