"""Define verifiers, and adapt verifiers of the application."""

import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

from authguard._core.callbacks import Callback, note_source, says_in_memory
from authguard._core.flow import Call, Channel, Flow
from authguard._core.model import Credential, Principal
from authguard._core.options import (
    FixedOptions,
    check_arguments,
    check_plain_methods,
    check_text,
    check_text_list,
    got,
    type_of,
    unusable_answer,
    yes_or_no,
)
from authguard._core.remote.http import RemoteHealth
from authguard._core.terms import Terms
from authguard.errors import Cause, ConfigurationError, ExpiredTokenError, InvalidAPIKeyError, RefusedError

_FIELD_NAME = re.compile(r"[A-Za-z0-9-]+\Z")
_TAKEN_FIELDS = frozenset({"authorization", "cookie", "dpop", "host", "origin"})
_TOKENS_ELSEWHERE = {
    "authorization": ": leave header out, since tokens come there without it",
    "cookie": ": leave header out, and write Guard(…, cookie=AccessCookie())",
}


@dataclass(slots=True)  # not frozen, because that would make each first-seen credential slower
class Verified:
    """Hold a principal, and the time until which it may be remembered.

    Attributes:
        principal: the caller of the credential.
        until: the time, in seconds since the epoch, when the credential must be verified again.
        terms: conditions for each request with the credential; None for no conditions.
    """

    principal: Principal
    until: float
    terms: Terms | None = None


def as_flow(answer: "Flow[Verified] | Verified") -> Flow[Verified]:
    """Return the result of `Verifier.flow` as a flow, even if it is not a generator."""
    return answer if isinstance(answer, Verified) else (yield from answer)


class CustomVerifier(Protocol):
    """Verify credentials in its own way.

    A verifier of some Bearer tokens also has `accepts(credential) -> bool`. A verifier of API keys has
    `header` and `prefixes`, like `APIKeyVerifier`: the guard gives it only keys in that field, and keys in
    the Authorization field that begin with a prefix.
    """

    def verify(self, credential: Credential) -> Principal | Awaitable[Principal]:
        """Return the caller of the credential. May be `async`; if not, it runs in a worker thread.

        It runs at once if it is declared by `@in_memory`, or the verifier by `in_memory = True`. A principal
        is refused from its `expires_at` on, so a verifier with a leeway adds it.

        Raises:
            InvalidTokenError: if the credential is not valid.
            VerificationUnavailableError: if the credential cannot be checked now; a `ConnectionError` or
                `TimeoutError` has the same effect.
        """
        ...


class Verifier(FixedOptions, ABC):
    """Verify credentials by a flow, so that it works with and without a loop; base of the built-in ones."""

    #: The field, besides Authorization, that carries the credentials of this verifier; None for no field.
    header: str | None = None
    #: The prefix of an API key in the Authorization field.
    prefixes: Sequence[str] = ()
    #: The only field that carries its tokens; None for Authorization and the cookie.
    token_header: str | None = None
    #: The channel on which simultaneous requests with the same credential share one answer; None if each
    #: request asks.
    channel: Channel | None = None
    #: Issuers and algorithms of the JWTs of this verifier; the issuer is None for any.
    jwts: frozenset[tuple[str | None, str]] = frozenset()
    #: The audiences, of which a token must name one; empty for tokens without an audience.
    audiences: frozenset[str] = frozenset()
    #: The issuers (None for any) in whose tokens another claim than `sub` names the subject.
    own_subjects_of: frozenset[str | None] = frozenset()
    #: Whether it has API keys without any of its prefixes, which only the field identifies.
    has_unprefixed_keys: bool = False
    #: Callers that are known in advance, so that a guard can check that it has quotas for them.
    known_principals: Sequence[Principal] = ()
    #: The tiers that its callers may have, so that a guard can check its quotas by tier.
    known_tiers: Sequence[str] = ()
    #: Whether a caller of it may have a tier.
    gives_tiers: bool = True
    #: Whether code of the application chooses its credentials, so that the guard cannot know which it
    #: accepts.
    chooses_itself: bool = False
    #: Whether it may have conditions for each request with a credential; see `Terms`.
    has_terms: bool = False
    #: Whether it verifies signatures by public keys, which is the slowest step.
    has_public_keys: bool = False
    #: Whether it verifies tokens of any form, so that it is the last choice.
    takes_any_token: bool = False
    #: Returns a sentence for each option of a guard that is probably a mistake with these credentials. Its
    #: arguments are a login page of the guard, the name of its cookie, and whether it has `revocations`.
    sentences_on: Callable[[str | None, str | None, bool], Iterable[str]] | None = None

    #: The URL at which the issuer's metadata are looked for first, if the verifier needs them (OpenID Connect
    #: Discovery).
    openid_configuration: str | None = None

    @property
    def is_for_keys(self) -> bool:
        """Return whether this verifies API keys, in a field of their own or with a prefix."""
        return bool(self.header or self.prefixes)

    def carries(self, credential: Credential) -> bool:
        """Return whether an API key was sent in this verifier's field, or with one of its prefixes."""
        if not credential.header:
            return True
        if credential.header == "authorization":
            return credential.value.startswith(tuple(self.prefixes))
        return self.header is not None and self.header.lower() == credential.header

    @abstractmethod
    def accepts(self, credential: Credential) -> bool:
        """Return whether this verifier decides about a credential; if so, no other verifier is asked."""

    @abstractmethod
    def flow(self, credential: Credential, now: float) -> Flow[Verified] | Verified:
        """Return the principal of a credential, or raise the error for the caller.

        A verifier without questions may return the result at once, without being a generator.

        Args:
            credential: the presented credential.
            now: seconds since the epoch.
        """

    def channels(self) -> Sequence[Channel]:
        """Return its connections to remotes, which are closed with the guard."""
        return ()

    def health(self, now: float | None) -> Sequence[RemoteHealth]:
        """Return the state of its remotes.

        Args:
            now: seconds since the epoch; None for the current time.
        """
        return ()


class _Adapted(Verifier):
    def __init__(self, verifier: CustomVerifier) -> None:
        check_arguments(verifier.verify, "verify of a verifier", "credential")
        in_memory = says_in_memory(verifier, "a verifier", "verify")
        self._verify: Callback[Any] = Callback(verifier.verify, "verifier", in_memory=in_memory)
        self.header = getattr(verifier, "header", None)
        self.prefixes = check_text_list(getattr(verifier, "prefixes", ()), "prefixes of a verifier")
        self._accepts = cast("Callable[[Credential], bool] | None", getattr(verifier, "accepts", None))
        self.chooses_itself = self._accepts is not None
        if self._accepts is not None:
            check_plain_methods(verifier, "a verifier", "accepts", "def accepts(self, credential)")
            check_arguments(self._accepts, "accepts of a verifier", "credential")
        self.takes_any_token = not self.chooses_itself and not self.is_for_keys
        self._name = type(verifier).__name__

    def accepts(self, credential: Credential) -> bool:
        is_key = credential.method == "api_key"
        if is_key and self.is_for_keys and not self.carries(credential):
            return False
        if self._accepts is None:
            return is_key == self.is_for_keys
        try:
            return yes_or_no("accepts()", self._accepts(credential))
        except Exception as error:
            note_source(error, "verifier", self._accepts)
            raise

    def flow(self, credential: Credential, now: float) -> Flow[Verified]:
        principal: Any = yield from Call(self._verify, credential)
        if not isinstance(principal, Principal):
            raise unusable_answer("verify()", "a Principal, or raise InvalidTokenError", principal)
        if principal.expires_at is not None and now >= principal.expires_at:
            raise _expired(credential)
        if principal.is_authenticated and principal.method != credential.method:
            principal = replace(principal, method=credential.method)
        return Verified(principal, until=now)

    def __repr__(self) -> str:
        return self._name


def _expired(credential: Credential) -> RefusedError:
    reason = "the expires_at of the Principal that verify() returned is over"
    if credential.method == "api_key":
        return InvalidAPIKeyError(reason, cause=Cause.EXPIRED)
    return ExpiredTokenError(reason)


def as_verifier(verifier: object) -> Verifier:
    """Return a built-in verifier unchanged, or an adapter for an object with `verify(credential)`.

    Raises:
        ConfigurationError: if it is neither.
    """
    if isinstance(verifier, Verifier):
        return verifier
    if not callable(getattr(verifier, "verify", None)) or isinstance(verifier, type):
        remedy = _remedy(verifier)
        raise ConfigurationError(
            f"a verifier must be JWTVerifier(…), APIKeyVerifier(…) or an object with verify(credential), got "
            f"{type_of(verifier)}{remedy}"
        )
    return _Adapted(cast("CustomVerifier", verifier))


def _remedy(verifier: object) -> str:
    """Return the spelling that works, for an object that is no verifier; empty if it is not known."""
    if isinstance(verifier, list | tuple):
        return ": write Guard(first, second)"
    if isinstance(verifier, type):
        return f": write {verifier.__name__}(…)"
    if callable(getattr(verifier, "verifier", None)):  # a `TokenIssuer`, or the tokens of remembered browsers
        return ": write tokens.verifier()"
    name = getattr(verifier, "__name__", "")
    return f": write {name}(), with parentheses" if callable(verifier) and name.isidentifier() else ""


def check_key_field(header: object, of: str = "API keys") -> str:
    """Check the name of a field for API keys, or for tokens.

    Raises:
        ConfigurationError: if it is not the name of a field, or the field has another meaning.
    """
    others = ", ".join(sorted(_TAKEN_FIELDS))
    must = f"be a field for {of}: letters, digits and hyphens, and none of {others}"
    name = check_text(header, "header", pattern=_FIELD_NAME, must=must)
    if name.lower() in _TAKEN_FIELDS:
        advice = _TOKENS_ELSEWHERE.get(name.lower(), "") if of == "tokens" else ""
        raise ConfigurationError(f"header must {must}, got {got(name)}{advice}")
    return name
