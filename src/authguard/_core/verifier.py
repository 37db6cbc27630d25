"""Define what a verifier is, and adapt a user's own."""

import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

from authguard._core.callbacks import Callback, says_in_memory
from authguard._core.flow import Call, Channel, Flow
from authguard._core.model import Credential, Principal
from authguard._core.options import check_plain_methods, check_text, check_text_list, got, type_of
from authguard._core.remote.http import RemoteHealth
from authguard._core.terms import Terms
from authguard.errors import ConfigurationError

_FIELD_NAME = re.compile(r"[A-Za-z0-9-]+\Z")
_TAKEN_FIELDS = frozenset({"authorization", "cookie", "dpop", "host", "origin"})
_TOKENS_ELSEWHERE = {
    "authorization": ": leave header out, since tokens come there without it",
    "cookie": ": leave header out, and write Guard(…, cookie=AccessCookie())",
}


@dataclass(slots=True)  # not frozen, since one is made for each first-seen credential
class Verified:
    """Hold a principal, and until when (seconds since the epoch) it may be remembered unasked.

    Attributes:
        principal: who presents the credential.
        until: when the credential has to be verified again.
        terms: what holds for each request with it; None for nothing.
    """

    principal: Principal
    until: float
    terms: Terms | None = None


def as_flow(answer: "Flow[Verified] | Verified") -> Flow[Verified]:
    """Return what `Verifier.flow` returns, as a flow in either case."""
    return answer if isinstance(answer, Verified) else (yield from answer)


class CustomVerifier(Protocol):
    """Verify credentials in its own way.

    It may also have `accepts(credential) -> bool`, if it is not for all Bearer tokens, and
    `header` and `prefixes`, as `APIKeyVerifier` has, if it is for API keys. It is then asked only about
    keys in that field, and about those in the Authorization field that begin with a prefix.
    """

    def verify(self, credential: Credential) -> Principal | Awaitable[Principal]:
        """Return who presents the credential. May be `async`; if not, it runs in a worker thread.

        It runs at once if it is declared by `@in_memory`, or the verifier by `in_memory = True`.

        Raises:
            InvalidTokenError: if it is not valid.
            VerificationUnavailableError: if that cannot be found out now; a `ConnectionError` or
                `TimeoutError` says the same.
        """
        ...


class Verifier(ABC):
    """Verify credentials by a flow, so that it works with and without a loop; base of the built-in ones."""

    #: The field that carries what this verifies, besides Authorization; None for none.
    header: str | None = None
    #: The prefix of an API key in the Authorization field.
    prefixes: Sequence[str] = ()
    #: The field that its tokens come in, and no other place; None for Authorization and the cookie.
    token_header: str | None = None
    #: Where all who present the same credential at the same time wait for one answer; None lets
    #: each of them ask.
    channel: Channel | None = None
    #: Issuers and algorithms of the JWTs that this verifies; the issuer is None for any.
    jwts: frozenset[tuple[str | None, str]] = frozenset()
    #: Issuers, None for any, of whose tokens another claim than `sub` names the subject.
    own_subjects_of: frozenset[str | None] = frozenset()
    #: It has API keys that begin with none of its prefixes, so that only the field leads to it.
    has_unprefixed_keys: bool = False
    #: Callers that it knows in advance, so that a guard can check what it has for them.
    known_principals: Sequence[Principal] = ()
    #: It chooses by code of the user's, so nothing is known about which credentials it takes.
    chooses_itself: bool = False
    #: It may ask something of each request with a credential of its own; see `Terms`.
    has_terms: bool = False
    #: It verifies signatures by public keys, each of which takes longer than all the rest.
    has_public_keys: bool = False
    #: It verifies tokens of whatever form, so that it is asked last.
    takes_any_token: bool = False

    #: Where the issuer's metadata are looked for first, if it is asked for them (OpenID Connect Discovery).
    openid_configuration: str | None = None

    @property
    def is_for_keys(self) -> bool:
        """Tell a verifier of API keys, in a field of their own or with a prefix."""
        return bool(self.header or self.prefixes)

    def carries(self, credential: Credential) -> bool:
        """Return whether an API key came by this verifier's field, or with one of its prefixes."""
        if not credential.header:
            return True
        if credential.header == "authorization":
            return credential.value.startswith(tuple(self.prefixes))
        return self.header is not None and self.header.lower() == credential.header

    @abstractmethod
    def accepts(self, credential: Credential) -> bool:
        """Return whether this credential is this verifier's to judge; no other is asked then."""

    @abstractmethod
    def flow(self, credential: Credential, now: float) -> Flow[Verified] | Verified:
        """Find out who presents the credential, or raise what the caller is to be told.

        A verifier that has nothing to ask may say so at once, without being a generator.

        Args:
            credential: what was presented.
            now: seconds since the epoch.
        """

    def channels(self) -> Sequence[Channel]:
        """Return what it reaches remotes through, to be closed with the guard."""
        return ()

    def health(self, now: float | None) -> Sequence[RemoteHealth]:
        """Return how its remotes are doing.

        Args:
            now: seconds since the epoch; None for the time of day.
        """
        return ()


class _Adapted(Verifier):
    def __init__(self, verifier: CustomVerifier) -> None:
        in_memory = says_in_memory(verifier, "a verifier", "verify")
        self._verify: Callback[Any] = Callback(verifier.verify, in_memory=in_memory)
        self.header = getattr(verifier, "header", None)
        self.prefixes = check_text_list(getattr(verifier, "prefixes", ()), "prefixes of a verifier")
        self._accepts = cast("Callable[[Credential], bool] | None", getattr(verifier, "accepts", None))
        self.chooses_itself = self._accepts is not None
        if self.chooses_itself:
            check_plain_methods(verifier, "a verifier", "accepts", "def accepts(self, credential)")
        self.takes_any_token = not self.chooses_itself and not self.is_for_keys
        self._name = type(verifier).__name__

    def accepts(self, credential: Credential) -> bool:
        is_key = credential.method == "api_key"
        if is_key and self.is_for_keys and not self.carries(credential):
            return False
        return is_key == self.is_for_keys if self._accepts is None else bool(self._accepts(credential))

    def flow(self, credential: Credential, now: float) -> Flow[Verified]:
        principal: Any = yield from Call(self._verify, credential)
        if not isinstance(principal, Principal):
            raise TypeError("verify() must return a Principal, or raise InvalidTokenError")
        if principal.is_authenticated and principal.method != credential.method:
            principal = replace(principal, method=credential.method)
        return Verified(principal, until=now)

    def __repr__(self) -> str:
        return self._name


def as_verifier(verifier: object) -> Verifier:
    """Return a built-in verifier as it is, and anything with `verify(credential)` adapted.

    Raises:
        ConfigurationError: if it is neither.
    """
    if isinstance(verifier, Verifier):
        return verifier
    if not callable(getattr(verifier, "verify", None)) or isinstance(verifier, type):
        raise ConfigurationError(
            f"a verifier must be JWTVerifier(…), APIKeyVerifier(…) or an object with verify(credential), got "
            f"{type_of(verifier)}"
        )
    return _Adapted(cast("CustomVerifier", verifier))


def check_key_field(header: object, of: str = "API keys") -> str:
    """Check the name of a field for API keys, or for tokens.

    Raises:
        ConfigurationError: if it is none, or means something else.
    """
    others = ", ".join(sorted(_TAKEN_FIELDS))
    must = f"be a field for {of}: letters, digits and hyphens, and none of {others}"
    name = check_text(header, "header", pattern=_FIELD_NAME, must=must)
    if name.lower() in _TAKEN_FIELDS:
        advice = _TOKENS_ELSEWHERE.get(name.lower(), "") if of == "tokens" else ""
        raise ConfigurationError(f"header must {must}, got {got(name)}{advice}")
    return name
