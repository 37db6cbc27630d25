"""Identify the caller of a credential, and remember it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, ClassVar, Literal, TypeAlias, final

from authguard._core.answer.decision import Known
from authguard._core.answer.denials import as_refused
from authguard._core.answer.response_fields import response_fields, vary_on
from authguard._core.deciding.asking import Answered, AskAbout
from authguard._core.deciding.pacing import MAX_WORK_AT_ONCE, work_of
from authguard._core.deciding.parts import Parts
from authguard._core.deciding.quotas import check_counts
from authguard._core.deciding.users import Users
from authguard._core.flow import Call, Flow, Later, Pace, Shared
from authguard._core.logouts import Logouts
from authguard._core.memory import Memory
from authguard._core.model import Auth, Credential, Principal, api_key_id, make_auth
from authguard._core.networks import is_within
from authguard._core.proofs.proof import Proofs
from authguard._core.request import Presented, RequestView
from authguard._core.terms import Terms
from authguard._core.verifier import Verified, Verifier, as_flow
from authguard.errors import (
    AddressDeniedError,
    CrossSiteRequestError,
    InvalidTokenError,
    MissingCredentialsError,
    RefusedError,
    RevokedTokenError,
    UnprovenTokenError,
)

_METHODS = ("bearer", "api_key", "cookie", "dpop", "header")
_CARRIED = (("bearer", "authorization"), ("dpop", "authorization"), ("cookie", "cookie"))


@final
@dataclass(slots=True)
class Refused:
    """Hold the error of a refused request, and its caller if known; several requests may share it."""

    is_decision: ClassVar[Literal[False]] = False

    error: RefusedError
    caller: Auth | None = None


#: The outcome of a verification, for all requests that wait for it.
Outcome: TypeAlias = Known | Refused


@final
@dataclass(slots=True)
class AskFirst:
    """Hold a question whose answer is the outcome."""

    is_decision: ClassVar[Literal[False]] = False

    question: "Shared[Outcome] | Later[Recalled]"


@final
class Undecided:
    """Tell that the flow must identify the caller."""

    __slots__ = ()

    is_decision: ClassVar[Literal[False]] = False


UNDECIDED = Undecided()

Recalled: TypeAlias = Known | Refused | AskFirst | AskAbout | Answered | Undecided


class Callers:
    """Identify the caller of a credential, and remember it.

    Args:
        verifiers: in the order in which they are asked whether they accept a credential.
        parts: those of the guard.
        proofs: for tokens that are bound to a key or a certificate.
        logouts: the revoked tokens and subjects; None if the guard has no store of them.
        users: loads the application's own users.
        cache_size: the number of verified credentials to remember, for each way to carry one.

    Attributes:
        at_once: whether `recall` can identify any caller.
        loads_at_once: whether the code that calls `recall` loads the user, without asking another function.
        users: those of the application.
    """

    at_once: ClassVar[bool] = True

    def __init__(
        self,
        verifiers: Sequence[Verifier],
        parts: Parts,
        proofs: Proofs,
        *,
        logouts: Logouts | None,
        users: Users,
        cache_size: int,
    ) -> None:
        self._verifiers = verifiers
        #: Whether a verifier needs a call for each request; see `Verifier.has_terms`.
        self.has_terms = any(verifier.has_terms for verifier in verifiers)
        extractor = self._extractor = parts.extractor
        self._plain_bearer = extractor.plain_bearer
        self._proofs = proofs
        self._proxies = parts.proxies
        self._logouts = logouts
        self._pace = Pace(MAX_WORK_AT_ONCE)
        in_memory = self._logouts_in_memory = logouts if logouts is not None and logouts.is_memory else None
        self._revision = None if in_memory is None else in_memory.revision
        self.users = users
        self._counts = parts.quotas is not None
        self._vary = {method: vary_on(extractor, method) for method in _METHODS}
        self._response_fields = {method: response_fields(vary) for method, vary in self._vary.items()}
        if extractor.cookie is not None and extractor.cookie.no_store:
            self._response_fields["cookie"] = response_fields(self._vary["cookie"], no_store=True)
        self._own_fields = {
            **dict.fromkeys(sorted(extractor.key_fields), "api_key"),
            **dict.fromkeys(sorted(extractor.token_fields), "header"),
        }
        self._memories = self._make_memories(cache_size)
        # Credentials that need more than a look-up for each request; `recall` does not use this memory.
        self._bound: Memory[tuple[str, str, bytes], Known] = Memory(cache_size)
        #: The memories that `recall` uses, by field name.
        self._recalled = self._memories_by_field()
        #: Asks the store for each request; None if the memory of this process has the answer.
        self._is_revoked = None if logouts is None or in_memory is not None else logouts.is_revoked
        self.loads_at_once = users.in_memory and self._is_revoked is None
        #: Identifies the caller, as far as possible without asking a remote or a function of the application.
        #: Its arguments: at least one credential field, a cookie only with its token; seconds since the
        #: epoch.
        self.recall: Callable[[Presented, float], Recalled] = self._recall
        if self._is_revoked is not None or (users.loader is not None and not self.loads_at_once):
            self.recall = self._recall_to_ask

    def _make_memories(self, size: int) -> dict[tuple[str, str], Memory[bytes, Known]]:
        """Return a memory for each way and field to carry a credential, so that no kind counts as another.

        A memory finds a credential by its digest, and stores no credential in clear (law 9).
        """
        own = [(method, field.decode("ascii")) for field, method in self._own_fields.items()]
        memories = {way: Memory[bytes, Known](size) for way in (*_CARRIED, *own)}
        # A prefix distinguishes keys from tokens here, so no digest of a field is that of both.
        memories["api_key", "authorization"] = memories["bearer", "authorization"]
        return memories

    def _memories_by_field(self) -> dict[bytes, Memory[bytes, Known]]:
        memories = self._memories
        own = {field: memories[method, field.decode("ascii")] for field, method in self._own_fields.items()}
        cookie = {b"cookie": memories["cookie", "cookie"]}
        return {**own, **cookie, b"authorization": memories["bearer", "authorization"]}

    def _recall(self, presented: Presented, now: float) -> Recalled:
        """Return the caller of the credential, if no function of the application is called for each request.

        A known credential costs one look-up. A new token is verified at once, if its verifier has the keys.
        """
        try:
            ((name, value),) = presented
            memory = self._recalled[name]
            digest = sha256(value).digest()
            known = memory.young.get(digest) or memory.revive(digest)
            if known is None or now >= known.until:
                return self._verify_at_once(name, value, digest, now)
            if self._revision is None or known.revision == (revision := self._revision()):
                return known
        except Exception:  # several fields, or a case for the flow, such as a failing store
            return UNDECIDED
        logouts = self._logouts_in_memory
        return known if logouts is None or logouts.clears(known, revision) else UNDECIDED

    def _recall_to_ask(self, presented: Presented, now: float) -> Recalled:
        """Identify the caller of the credential, and tell which functions must be asked about the caller."""
        recalled = self._recall(presented, now)
        if type(recalled) is not Known:
            return recalled
        loaded = recalled.loaded
        if loaded is None or not self.users.is_fresh(loaded, now):
            return AskAbout(recalled, self._is_revoked, self.users.loader)
        return loaded if self._is_revoked is None else AskAbout(loaded, self._is_revoked, None)

    def _verify_at_once(self, name: bytes, value: bytes, digest: bytes, now: float) -> Recalled:
        if name != b"authorization" or (credential := self._plain_bearer(value)) is None:
            return UNDECIDED
        return self._verify_now(credential, digest, now)

    def _verify_now(
        self, credential: Credential, digest: bytes, now: float, *, has_waited: bool = False
    ) -> Recalled:
        try:
            verifier = self._verifier_of(credential)
            if self._pace.remaining <= 0 and not has_waited:
                return self._verify_later(verifier, credential, digest, now)
            self._pace.remaining -= (work := work_of(verifier))
            verified = verifier.flow(credential, now)
            if not isinstance(verified, Verified):
                self._pace.remaining += work  # nothing is verified yet
                question = self._shared(credential, digest, now)
                return UNDECIDED if question is None else AskFirst(question)
            known = self._remember(credential, digest, verified, now)
            if (
                known.auth.confirmation
                or known.terms
                or (self._logouts_in_memory is not None and not self._logouts_in_memory.clears_now(known))
            ):
                return UNDECIDED
        except RefusedError as error:
            return Refused(error)
        except Exception:
            return UNDECIDED  # the flow raises the same error again, and handles it
        return known

    def _verify_later(
        self, verifier: Verifier, credential: Credential, digest: bytes, now: float
    ) -> Recalled:
        if verifier.channels():  # the flow of such a verifier waits for its turn itself
            return UNDECIDED
        verify = partial(self._verify_now, credential, digest, now, has_waited=True)
        return AskFirst(Later(self._pace, work_of(verifier), verify))

    def identify(
        self, request: RequestView, now: float, known: Known | None = None, *, proven: bool = False
    ) -> Flow[tuple[Known, str]]:
        """Find the caller of a request's credential; raise an error if it is missing or invalid.

        Args:
            request: the request.
            now: seconds since the epoch.
            known: the caller, if it has been identified already.
            proven: whether no proof of possession is needed.

        Returns:
            the caller, and the nonce for its next proofs.
        """
        credential, nonce = None, ""
        if known is None or known.auth.confirmation:
            credential = self._credential(request)
            known = known or (yield from self._find(credential, now))
        confirmation = known.auth.confirmation
        if credential is not None and not proven and (confirmation or credential.method == "dpop"):
            nonce = yield from self._proofs.check(request, credential, confirmation, now)
        terms = known.terms
        try:
            known = yield from self._unless_revoked(credential, known, now)
            if known.terms is not None:
                yield from self._keep(known.terms, known.auth.principal, request, now)
        except RefusedError as error:
            error.count = error.count or (None if terms is None else terms.count)
            raise
        return known, nonce

    def _unless_revoked(self, credential: Credential | None, known: Known, now: float) -> Flow[Known]:
        """Return the caller, if it is not revoked; raise RevokedTokenError if it is.

        A remembered API key may seem to be revoked while the key is valid: after a rotation, the presented
        generation is the older one, which ends soon. So an API key is looked up again.
        """
        if self._logouts is None:
            return known
        try:
            yield from self._logouts.check(known.auth.principal)
        except RevokedTokenError:
            known.loaded = None
            if credential is None or credential.method != "api_key":
                raise
            known = _settled((yield from self._verify(credential, _digest_of(credential), now)))
            yield from self._logouts.check(known.auth.principal)
        return known

    def _keep(self, terms: Terms, principal: Principal, request: RequestView, now: float) -> Flow[None]:
        """Check the conditions for each request with a credential."""
        if terms.networks and not is_within(self._proxies.client_address(request), terms.networks):
            raise AddressDeniedError(
                "from an address in none of the networks of the key", key_id=api_key_id(principal)
            )
        if terms.begin is not None:
            yield from Call(terms.begin, now)

    def examine(self, request: RequestView, now: float) -> Flow[Principal]:
        """Return the caller of a credential, for tools: nothing is remembered, and no verifier is notified.

        Args:
            request: the request; only its credential is read.
            now: seconds since the epoch.
        """
        credential = self._credential(request)
        verified = yield from as_flow(self._verifier_of(credential).flow(credential, now))
        principal = verified.principal
        if not principal.is_authenticated:
            raise InvalidTokenError("the verifier found no principal")
        if self._proofs.confirmation_of(principal.claims):
            raise UnprovenTokenError("bound to a key or a certificate, and the proof comes with each request")
        if self._logouts is not None:
            yield from self._logouts.check(principal)
        yield from self.users.load_anew(principal)
        return principal

    def load_user(self, known: Known, now: float) -> Flow[Any]:
        """Return the application's own user of a caller; see `Users.load`."""
        return self.users.load(known, now)

    def _credential(self, request: RequestView) -> Credential:
        credential = self._extractor.extract(request)
        cookie = self._extractor.cookie
        if credential is None:
            raise MissingCredentialsError("no credential", hint=self._extractor.hint(request))
        if credential.method == "cookie" and cookie and cookie.is_cross_site(request) is not False:
            raise CrossSiteRequestError("nothing shows that this site started the request")
        return credential

    def _find(self, credential: Credential, now: float) -> Flow[Known]:
        digest = _digest_of(credential)
        way = (credential.method, credential.header)
        known = self._memories[way].get(digest) or self._bound.get((*way, digest))
        if known is not None and now < known.until:
            return known
        question = self._shared(credential, digest, now)
        return _settled((yield from question or self._verify(credential, digest, now)))

    def _shared(self, credential: Credential, digest: bytes, now: float) -> Shared[Outcome] | None:
        """Return the question that requests with this credential share now; None if they share none."""
        channel = self._verifier_of(credential).channel
        if channel is None:
            return None
        make = partial(self._verify, credential, digest, now)
        return Shared(channel, (self, credential.method, digest), make)

    def _verify(self, credential: Credential, digest: bytes, now: float) -> Flow[Outcome]:
        try:
            verifier = self._verifier_of(credential)
            work = work_of(verifier)
            if self._pace.remaining <= 0:
                yield from Later(self._pace, work, _take_turn)
            self._pace.remaining -= work
            verified = yield from as_flow(verifier.flow(credential, now))
            return self._remember(credential, digest, verified, now)
        except Exception as raised:
            return Refused(as_refused(raised))

    def _remember(self, credential: Credential, digest: bytes, verified: Verified, now: float) -> Known:
        principal, method = verified.principal, credential.method
        if not principal.is_authenticated:
            raise InvalidTokenError("the verifier found no principal")
        if principal.quotas:
            check_counts(principal, counts=self._counts)
        confirmation = self._proofs.confirmation_of(principal.claims)
        auth = make_auth(principal, self._vary[method], confirmation)
        terms = verified.terms
        known = Known(auth, self._response_fields[method], verified.until, terms)
        if terms is not None:
            known.response_fields += terms.response_fields
        if verified.until > now and (self._logouts is None or self._may_keep(known, self._logouts)):
            if confirmation or (terms is not None and terms.needs_request):
                self._bound.put((method, credential.header, digest), known)
            else:
                self._memories[method, credential.header].put(digest, known)
        return known

    @staticmethod
    def _may_keep(known: Known, logouts: Logouts) -> bool:
        """Return whether a verification that has just ended may be remembered.

        It may have begun before a revocation that this process has read meanwhile. While the memory of
        revocations is not current, it may be remembered, because each request then asks the store.
        """
        return logouts.revision() is None or logouts.clears_now(known)

    def _verifier_of(self, credential: Credential) -> Verifier:
        for verifier in self._verifiers:
            if verifier.accepts(credential):
                return verifier
        raise InvalidTokenError("no verifier accepts this kind of credential")


def _take_turn() -> None:
    """Do nothing: the flow only waits for its turn."""


def _settled(outcome: Outcome) -> Known:
    """Return the caller of an outcome, or raise its error."""
    if isinstance(outcome, Refused):
        # The same error may be raised for many requests, and its traceback would grow each time.
        raise outcome.error.with_traceback(None)
    return outcome


def _digest_of(credential: Credential) -> bytes:
    """Return the digest of a credential: after `Bearer` that of the whole field, as `recall` computes it."""
    value = credential.value.encode("latin-1")
    after_bearer = credential.header == "authorization" and credential.method != "dpop"
    return sha256(b"Bearer " + value if after_bearer else value).digest()
