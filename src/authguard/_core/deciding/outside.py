"""Verify credentials that arrive outside of a request: in a message, a job, another protocol."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from authguard._core.answer.decision import Known
from authguard._core.answer.denials import as_refused
from authguard._core.credential.extractor import MAX_CREDENTIAL
from authguard._core.deciding.callers import Recalled, Refused
from authguard._core.deciding.described import Described
from authguard._core.deciding.outcomes import OUTSIDE, Outcomes, count_of
from authguard._core.deciding.straight_path import StraightPath
from authguard._core.flow import Flow
from authguard._core.logouts import Logouts, Revocations
from authguard._core.model import Principal
from authguard._core.options import Moment, check_moment, check_text, got, named_options
from authguard._core.proxies import TrustedProxies
from authguard._core.request import Presented, RequestView
from authguard._core.terms import OK, outcome_of
from authguard.errors import ConfigurationError, InvalidRequestError

# The schemes that users copy together with a token; a token itself contains no white space.
_SCHEME = re.compile(r"\s*(?:authorization\s*:\s*)?(bearer|dpop|token|jwt|basic|apikey)\s+\S", re.IGNORECASE)
_MAX_SCHEME = 80  # the number of characters in which a scheme is searched
_FIELD = b"authorization"
_OUTCOMES = Outcomes(TrustedProxies(()))


@dataclass(frozen=True, slots=True)
class Driving:
    """Hold the driver that answers the questions of flows, and the clock; the core has neither.

    Attributes:
        run: runs a flow in this thread, and returns its result.
        arun: runs a flow in an event loop.
        clock: seconds since the epoch.
        report: logs an exception of a function of the application that must not fail a request.
        warn: logs a line about the configuration for the operator.
    """

    run: Callable[[Flow[Any]], Any]
    arun: Callable[[Flow[Any]], Awaitable[Any]]
    clock: Callable[[], float]
    report: Callable[[Exception], None]
    warn: Callable[[str], None]


class _Message(RequestView):
    """Present a credential that came without a request as a request, so that the same checks apply.

    Args:
        presented: the credential field; empty without a credential.
        address: the address of the client, if known.
    """

    __slots__ = ("_address",)

    def __init__(self, presented: Presented, address: str | None) -> None:
        self.method, self.scheme, self.path, self.root_path = "GET", "https", "/", ""
        self.presented = presented
        self._address = address

    @property
    def query(self) -> str:
        return ""

    def fields(self, name: bytes) -> list[bytes]:
        return [value for field, value in self.presented if field == name]

    @property
    def peer(self) -> str | None:
        return self._address


class VerifiesOutside(Described):
    """Verify tokens and API keys outside of requests; a base of `Guard`.

    Attributes:
        driving: runs the flows; `authguard` sets it.
        credential_fields: those that the guard reads.
    """

    driving: ClassVar[Driving]
    credential_fields: frozenset[bytes]
    _straight_path: StraightPath
    _logouts: Logouts | None

    @property
    def revocations(self) -> Revocations | None:
        """Return the store of logouts, if the guard has one."""
        return None if self._logouts is None else self._logouts.store

    @named_options
    def verify(
        self,
        token: str | None,
        *,
        header: str | None = None,
        address: str | None = None,
        now: float | Moment | None = None,
    ) -> Principal:
        """Return the caller of a token or API key that came outside of a request.

        Use it for messages of websockets, Socket.IO and jobs. It works as for requests, with the same
        verifiers, revocations and memory of verified tokens, and calls `user_loader` to check that the user
        still exists. It does not apply path rules, and takes nothing from quotas. A token that needs a proof
        is refused, because without a request it has no proof. In an event loop, write `averify`.

        Args:
            token: only the token or API key, without `Bearer`; None for a caller without a token.
            header: the field of the credential in a request, if it is not Authorization, such as `X-API-Key`
                for an API key without a prefix.
            address: the address of the client, for API keys with a list of networks.
            now: seconds since the epoch, or a datetime with a time zone; None for the current time.

        Raises:
            RefusedError: as for a request: `MissingCredentialsError`, `InvalidTokenError`,
                `VerificationUnavailableError` and the others; `status_code` is the status of the answer.
            ConfigurationError: if the guard does not read the header, or an option has the wrong type.
            RuntimeError: in an event loop, if the guard must call an `async` function.
        """
        driving = self.driving
        result: Principal = driving.run(self._verify(token, header, address, now))
        return result

    @named_options
    async def averify(
        self,
        token: str | None,
        *,
        header: str | None = None,
        address: str | None = None,
        now: float | Moment | None = None,
    ) -> Principal:
        """Return the caller of a token or API key outside of a request, without blocking the event loop.

        Args:
            token: see `verify`.
            header: see `verify`.
            address: see `verify`.
            now: see `verify`.

        Raises:
            RefusedError: see `verify`.
            ConfigurationError: see `verify`.
        """
        driving = self.driving
        result: Principal = await driving.arun(self._verify(token, header, address, now))
        return result

    @named_options
    def examine(self, token: str, now: float, *, header: str | None = None) -> Flow[Principal]:
        """Find the caller of a token or API key, for tools, without remembering or counting it.

        Args:
            token: see `verify`.
            now: seconds since the epoch.
            header: see `verify`.
        """
        presented = self._presented(token, header)
        callers = self._straight_path.own_callers  # the guard's own callers, not those of a test override
        try:
            return (yield from callers.examine(_Message(presented, None), now))
        except Exception as raised:
            refused = as_refused(raised)
            raise refused from refused.__cause__

    def _verify(
        self, token: object, header: str | None, address: str | None, now: float | Moment | None
    ) -> Flow[Principal]:
        at = self.driving.clock() if now is None else check_moment(now, "now")
        request = _Message(self._presented(token, header), _checked_address(address))
        callers, known = self._straight_path.callers, None
        try:
            recalled: Recalled | None = callers.recall(request.presented, at) if request.presented else None
            if isinstance(recalled, Refused):
                raise recalled.error
            known = recalled if isinstance(recalled, Known) else None
            if known is None:
                known, _ = yield from callers.identify(request, at)
            if known is not recalled or callers.loads_at_once:
                yield from callers.load_user(known, at)
        except Exception as raised:
            refused = as_refused(raised)
            count = refused.count if known is None else count_of(known)
            _OUTCOMES.tell(count, request, OUTSIDE, outcome_of(refused), at)
            raise refused from refused.__cause__
        _OUTCOMES.tell(count_of(known), request, OUTSIDE, OK, at)
        return known.auth.principal

    def _presented(self, token: object, header: str | None) -> Presented:
        """Return the field in which a request would carry the credential; empty without a credential."""
        name = self._only_field() if header is None else self._checked_header(header)
        if token is None:
            return []
        if not isinstance(token, str):
            decode = ": write token.decode()" if isinstance(token, bytes) else ""
            raise InvalidRequestError(f"the token must be text, got {type(token).__name__}{decode}")
        if _SCHEME.match(token[:_MAX_SCHEME]):
            raise InvalidRequestError(
                "the token must come without its scheme, got both: write "
                'guard.verify(text.removeprefix("Bearer "))'
            )
        # any client may send a longer text, which is too long in any case
        token = token[: MAX_CREDENTIAL + 1]
        try:
            value = token.encode("latin-1")
        except UnicodeEncodeError:
            raise InvalidRequestError("the token has characters that are not allowed in tokens") from None
        return [(name, b"Bearer " + value if name == _FIELD else value)]

    def _only_field(self) -> bytes:
        """Return the field of a token if the caller of the method names none: Authorization."""
        field = self._verifiers[0].token_header
        if field is not None and all(each.token_header for each in self._verifiers):
            raise ConfigurationError(
                f"header must be given where all tokens come in fields of their own, got None: write "
                f"guard.verify(token, header={field!r})"
            )
        return _FIELD

    def _checked_header(self, header: str) -> bytes:
        name = check_text(header, "header").lower().encode("ascii", "replace")
        read = self.credential_fields - {b"cookie"}
        if name not in read:
            names = ", ".join(sorted(field.decode("ascii") for field in read))
            raise ConfigurationError(
                f"header must be a field that the guard reads ({names}), got {got(header)}: leave it out for "
                "a token, or give the verifier that field"
            )
        return name


def _checked_address(address: object) -> str | None:
    """Return the address; as with requests, an address that cannot be parsed is in no network."""
    if address is None or isinstance(address, str):
        return address
    raise ConfigurationError(f"address must be text, or None, got {got(address)}: write str(address)")
