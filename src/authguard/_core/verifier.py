"""What a verifier is, and how a user's own becomes one."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

from authguard._core.flow import Call, Channel, Flow
from authguard._core.model import Credential, Principal
from authguard._core.remote import RemoteHealth
from authguard.errors import ConfigurationError


@dataclass(slots=True)  # not frozen: 0.4 µs less for each first-seen credential
class Verified:
    """A principal, and until when (seconds since the epoch) it may be remembered unasked."""

    principal: Principal
    until: float


def as_flow(answer: "Flow[Verified] | Verified") -> Flow[Verified]:
    """What `Verifier.flow` returns, as a flow in either case."""
    return answer if isinstance(answer, Verified) else (yield from answer)


class CustomVerifier(Protocol):
    """Any object that verifies credentials in its own way.

    It may also have `accepts(credential) -> bool`, if it is not for all Bearer tokens, and
    `header` and `prefixes`, as `APIKeyVerifier` has, if it is for API keys.
    """

    def verify(self, credential: Credential) -> Principal | Awaitable[Principal]:
        """Who presents the credential. May be `async`; if not, it runs in a worker thread.

        Raises:
            InvalidTokenError: if it is not valid.
            VerificationUnavailableError: if that cannot be found out now; a `ConnectionError` or
                `TimeoutError` says the same.
        """
        ...


class Verifier(ABC):
    """The base of the built-in verifiers: a flow, so that it works with and without a loop."""

    #: The field that carries what this verifies, besides Authorization; None for none.
    header: str | None = None
    #: What an API key in the Authorization field starts with.
    prefixes: Sequence[str] = ()
    #: Where all who present the same credential at the same time wait for one answer; None lets
    #: each of them ask.
    channel: Channel | None = None

    @abstractmethod
    def accepts(self, credential: Credential) -> bool:
        """Whether this credential is this verifier's to judge; no other is asked then."""

    @abstractmethod
    def flow(self, credential: Credential, now: float) -> Flow[Verified] | Verified:
        """Find out who presents the credential, or raise what the caller is to be told.

        A verifier that has nothing to ask may say so at once, without being a generator.

        Args:
            credential: what was presented.
            now: seconds since the epoch.
        """

    def channels(self) -> Sequence[Channel]:
        """What it reaches remotes through, to be closed with the guard."""
        return ()

    def health(self, now: float | None) -> Sequence[RemoteHealth]:
        """How its remotes are doing.

        Args:
            now: seconds since the epoch; None for the time of day.
        """
        return ()

    @classmethod
    def together(cls, verifiers: Sequence[Any]) -> "Sequence[Verifier]":
        """Several of this class in one guard; they may settle among themselves who is asked."""
        return verifiers


class _Adapted(Verifier):
    def __init__(self, verifier: CustomVerifier) -> None:
        self._verify = verifier.verify
        self.header = getattr(verifier, "header", None)
        self.prefixes = tuple(getattr(verifier, "prefixes", ()))
        self._accepts = cast("Callable[[Credential], bool] | None", getattr(verifier, "accepts", None))

    def accepts(self, credential: Credential) -> bool:
        if self._accepts is not None:
            return bool(self._accepts(credential))
        return (credential.method == "api_key") == (self.header is not None)

    def flow(self, credential: Credential, now: float) -> Flow[Verified]:
        found: Any = yield from Call(self._verify, credential)
        if not isinstance(found, Principal):
            raise TypeError("verify() must return a Principal, or raise InvalidTokenError")
        if found.is_authenticated and found.method != credential.method:
            found = replace(found, method=credential.method)
        return Verified(found, until=now)


def as_verifier(verifier: object) -> Verifier:
    """A built-in verifier as it is, and anything with `verify(credential)` adapted.

    Raises:
        ConfigurationError: if it is neither.
    """
    if isinstance(verifier, Verifier):
        return verifier
    if not callable(getattr(verifier, "verify", None)) or isinstance(verifier, type):
        raise ConfigurationError(
            f"{type(verifier).__name__} is no verifier: give JWTVerifier(…), APIKeyVerifier(…) or an object "
            "with verify(credential)"
        )
    return _Adapted(cast("CustomVerifier", verifier))


def together(verifiers: Sequence[Verifier]) -> list[Verifier]:
    """The verifiers of a guard, those of a class settled among themselves.

    Raises:
        ConfigurationError: if there are none.
    """
    if not verifiers:
        raise ConfigurationError("a guard needs at least one verifier: JWTVerifier(…) or APIKeyVerifier(…)")
    kinds = list(dict.fromkeys(type(verifier) for verifier in verifiers))
    return [
        one
        for kind in kinds
        for one in kind.together([verifier for verifier in verifiers if type(verifier) is kind])
    ]
