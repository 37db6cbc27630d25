"""Decide about requests: from a request to a decision. Start reading here.

    request ─► credential ─► verifier ─► principal ─► policy ─► decision

`recall` is the straight path, which needs no question: known credentials, tokens whose keys are local, public
pages; see `StraightPath`. `confirm` continues when a function of the application was asked about a known
caller. `decide` handles the rest, as a flow. None of them does I/O: adapters read the request and write the
answer. `Callers` identifies the caller of a credential.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from authguard._core.answer.charge import Charge
from authguard._core.answer.decision import Allow, Deny, Prepared
from authguard._core.answer.denials import Denials, OnError
from authguard._core.answer.metadata import MetadataPage, ResourceMetadata, other_audiences
from authguard._core.answer.redirect import safe_next
from authguard._core.answer.refusal import Challenges, check_realm
from authguard._core.credential.cookies import AccessCookie
from authguard._core.credential.subprotocol import Subprotocol
from authguard._core.deciding.callers import Callers, Recalled
from authguard._core.deciding.full_path import FullPath
from authguard._core.deciding.in_tests import OverriddenInTests
from authguard._core.deciding.later_checks import LaterChecks
from authguard._core.deciding.outside import VerifiesOutside
from authguard._core.deciding.parts import Parts
from authguard._core.deciding.quotas import QuotasByTier, quotas_for
from authguard._core.deciding.straight_path import StraightPath
from authguard._core.deciding.telling import OnDecision, Telling
from authguard._core.deciding.tiers import sentences_on_unused_tiers
from authguard._core.deciding.users import UserLoader, Users
from authguard._core.dispatch import arrange, check_kinds_of, extractor_for, sentences_on_unused_places
from authguard._core.endpoint import Endpoint, served_paths
from authguard._core.flow import Flow
from authguard._core.logouts import Logouts, Revocations, StoreHealth
from authguard._core.model import Auth
from authguard._core.options import Duration, FixedOptions, check_object, check_whole, got, named_options
from authguard._core.policy.lifted import lifted
from authguard._core.policy.patterns import local_path
from authguard._core.policy.policy import Policy, Verdict
from authguard._core.policy.rules import Preflight, Requirement, Rule
from authguard._core.proofs.proof import Proof, Proofs
from authguard._core.proxies import TrustedProxies
from authguard._core.quota import Quota
from authguard._core.quota_store import QuotaHealth, QuotaStore
from authguard._core.remote.http import RemoteHealth
from authguard._core.remotes import Remotes
from authguard._core.request import RequestView
from authguard._core.terms import Terms
from authguard._core.verifier import CustomVerifier, Verifier, as_verifier
from authguard.errors import ConfigurationError, RefusedError


@named_options
class Guard(FixedOptions, OverriddenInTests, VerifiesOutside):
    """Decide which requests may pass. Immutable, and shared by threads, event loops and adapters.

    Without lists, everything except the login page is protected. `public_paths` opens paths.
    `protected_paths` alone limits the guard to the listed paths, which is weaker: a forgotten path is open.
    With both, paths in neither list are protected.

    Args:
        verifiers: verify credentials. For API keys the field and the prefix select one, for tokens the form
            and the issuer; a verifier that accepts any token is the last choice. Verifiers that cannot be
            distinguished are refused.
        protected_paths: patterns or rules to protect; see `Rule`.
        public_paths: patterns or rules to open.
        login_path: the login page for browsers, which send a token only in a `cookie`, or if a proxy adds it;
            None answers them with 401.
        cookie: the cookie of an access token, used if no field has a credential; None ignores cookies.
        revocations: the store of logouts, checked for each request.
        backchannel_logout: the `BackChannelLogout` to serve at its path, at which an issuer reports logouts;
            it writes to `revocations`.
        user_loader: returns the application's own user for a principal, which is then `request.state.user`;
            None means that the user no longer exists, and is a 401. Rules and decorators read the principal,
            never the user.
        user_ttl: seconds, or a timedelta, for which the user of a remembered credential is not loaded again;
            a user that no longer exists may still pass for so long. 0 loads the user for each request.
        proofs: `DPoP` and `MutualTLS`, for tokens that are bound to a key or certificate; without them, such
            tokens are refused.
        proxies: addresses or networks of the proxies whose `X-Forwarded-For` contains the client's address,
            for API keys with a list of networks; empty if the server reads that field (`--proxy-headers`).
        resource: the metadata of this application and its issuers, served and named in every challenge (RFC
            9728).
        subprotocol: the websocket subprotocol in which a browser may send a token, such as `authguard`, on
            ASGI; None ignores such tokens.
        preflight: the handling of CORS preflights of protected paths. `"answer"`: the guard answers with the
            application's own CORS layer, if it finds one, and no handler runs. `"pass"`: the application
            receives the preflight without its body, and only status and CORS fields are sent.
        quotas: how much callers may send: a list of `Quota` for all of them, or lists by tier; see `Quota`.
            Requests of authenticated callers to protected paths are counted, and those to other paths where a
            decorator or dependency requires a caller. None counts only those of rules with a quota.
        quota_store: the store of the counts; None for the memory of this process.
        on_error: receives the request and the `Refusal`, and returns the refusal to send.
        on_decision: called with a `DecisionEvent` for each decision, in the thread or event loop of the
            request: a plain function that does not block. Its exceptions are logged, and have no other
            effect.
        realm: the realm of the challenge.
        cache_size: the number of verified credentials to remember.

    Raises:
        ConfigurationError: if options contradict each other, have the wrong type or are out of range.
    """

    def __init__(
        self,
        *verifiers: Verifier | CustomVerifier,
        protected_paths: Iterable[str | Rule] | None = None,
        public_paths: Iterable[str | Rule] | None = None,
        login_path: str | None = None,
        cookie: AccessCookie | None = None,
        revocations: Revocations | None = None,
        backchannel_logout: Endpoint | None = None,
        user_loader: UserLoader | None = None,
        user_ttl: float | Duration = 0,
        proofs: Iterable[Proof] = (),
        proxies: Iterable[str] = (),
        resource: ResourceMetadata | None = None,
        subprotocol: str | None = None,
        preflight: Preflight = "answer",
        quotas: Iterable[Quota] | QuotasByTier | None = None,
        quota_store: QuotaStore | None = None,
        on_error: OnError | None = None,
        on_decision: OnDecision | None = None,
        realm: str = "api",
        cache_size: int = 10_000,
    ) -> None:
        _check_kinds(cookie, resource, cache_size)
        self._verifiers = [as_verifier(verifier) for verifier in verifiers]
        arranged = arrange(self._verifiers)
        login_path = None if login_path is None else local_path(login_path, "login_path")
        all_proofs = self.proofs = Proofs(proofs)
        self.metadata_page = None if resource is None else MetadataPage(resource, **all_proofs.metadata)
        #: Endpoints that adapters serve, by path.
        self.endpoint = backchannel_logout
        served = served_paths(
            resource.paths if resource else (), backchannel_logout, revocations, self._verifiers
        )
        self.policy = Policy(protected_paths, public_paths, [login_path] if login_path else [], served)
        self.cookie = cookie
        self.subprotocol = None if subprotocol is None else Subprotocol(subprotocol)
        extractor = self._extractor = extractor_for(self._verifiers, cookie, dpop=bool(all_proofs.algorithms))
        check_kinds_of(self.policy.rules, self._verifiers, extractor)
        challenges = Challenges(check_realm(realm), resource.url if resource else "", all_proofs.algorithms)
        denials = self._denials = Denials(self.policy, login_path, challenges, extractor, on_error)
        self.credential_fields = extractor.fields  # the fields that a `RequestView` must contain
        self.recalled_fields = extractor.recalled_fields  # the fields that `recall` takes
        self.remotes = Remotes([*self._verifiers, *(self.endpoint.verifiers if self.endpoint else ())])
        self.quotas = quotas_for(quotas, quota_store, self.policy.rules, self._verifiers)
        self._warn(resource, quotas, has_revocations=revocations is not None)
        logouts = self._logouts = None if revocations is None else Logouts(revocations)
        parts = Parts(self.policy, denials, extractor, self.quotas, TrustedProxies(proxies))
        users = Users(user_loader, user_ttl, self.driving.warn)
        callers = Callers(arranged, parts, all_proofs, logouts=logouts, users=users, cache_size=cache_size)
        self._straight_path = StraightPath(callers, parts)
        self._full_path = FullPath(self._straight_path, parts, preflight)
        self._later_checks = LaterChecks(self._straight_path, parts)
        #: Whether `recall` may call `on_decision`, a `user_loader`, or methods of classes of the application.
        self.calls_at_once = (
            on_decision is not None
            or callers.loads_at_once
            or not all(map(_is_of_authguard, (*verifiers, revocations, quota_store)))
        )
        self._telling = None
        if on_decision is not None:
            self._telling = Telling(on_decision, parts, self.driving.report)
        self._decide_by(self._straight_path)

    def _warn(self, resource: ResourceMetadata | None, quotas: object, *, has_revocations: bool) -> None:
        """Warn of options that are valid, and probably a mistake."""
        for sentence in () if resource is None else other_audiences(resource, self._verifiers):
            self.driving.warn(sentence)
        for sentence in sentences_on_unused_tiers(quotas, self._verifiers):
            self.driving.warn(sentence)
        for _, sentence in lifted(self.policy.protected_rules):
            self.driving.warn(sentence)
        for sentence in sentences_on_unused_places(
            self._verifiers, self._extractor, subprotocol=self.subprotocol is not None
        ):
            self.driving.warn(sentence)
        login_path = next(iter(sorted(self.policy.login_paths)), None)
        cookie = None if self.cookie is None else self.cookie.name
        for verifier in self._verifiers:
            sentences_on = verifier.sentences_on
            for sentence in sentences_on(login_path, cookie, has_revocations) if sentences_on else ():
                self.driving.warn(sentence)

    def decide(
        self, request: RequestView, now: float, recalled: Recalled | None = None
    ) -> Flow[Allow | Deny]:
        """Decide about a request; exceptions of callbacks become refusals.

        Args:
            request: the request.
            now: seconds since the epoch.
            recalled: the result of `recall`, or the answer to its question.
        """
        flow = self._full_path.decide(request, now, recalled)
        return flow if self._telling is None else self._telling.follow(flow, request, now)

    def present(self, request: RequestView, prepared: Prepared, now: float) -> Deny:
        """Return an answer that `recall` has prepared; as a page, if a browser displays it."""
        if self._telling is not None:
            self._telling.tell_refused(prepared, request, now, "request", prepared.caller)
        return self._denials.present(request, prepared)

    def authorize(
        self,
        request: RequestView,
        auth: Auth,
        error: RefusedError | None,
        requirement: Requirement,
        now: float,
        *,
        charge: Charge | None = None,
        terms: Terms | None = None,
    ) -> Flow[Deny | None]:
        """Check the requirement of a route in addition to the path rules; see `LaterChecks.authorize`."""
        flow = self._later_checks.authorize(
            request, auth, error, requirement, now, charge=charge, terms=terms
        )
        return flow if self._telling is None else self._telling.follow(flow, request, now, "route", auth)

    def refuse(self, request: RequestView, error: RefusedError, auth: Auth, now: float) -> Flow[Deny]:
        """Return the answer to a refusal that a view has raised; see `LaterChecks.refuse`."""
        flow = self._later_checks.refuse(request, error)
        return flow if self._telling is None else self._telling.follow(flow, request, now, "route", auth)

    def recheck(self, request: RequestView, auth: Auth, now: float) -> Flow[Deny | None]:
        """Check again whether a long connection may continue; see `LaterChecks.recheck`."""
        flow = self._later_checks.recheck(request, auth, now)
        return flow if self._telling is None else self._telling.follow(flow, request, now, "recheck", auth)

    @named_options
    def explain(self, method: str, path: str, root_path: str = "") -> Verdict:
        """Return the rule that decides about a request, and the reason.

        Args:
            method: such as `GET`; `WEBSOCKET` for a handshake.
            path: decoded, below the mount point.
            root_path: the mount point.

        Raises:
            ConfigurationError: if the path has no leading slash.
        """
        if path and path[0] not in "/*":  # `*` is the target of an OPTIONS request about the server
            if method.startswith("/"):
                raise ConfigurationError(
                    f"path must be after the method, got {got(path)}: write explain('GET', path)"
                )
            write = urlsplit(path).path if "://" in path else path
            raise ConfigurationError(
                f"path must start with a slash, got {got(path)}: write {'/' + write.lstrip('/')!r}"
            )
        return self.policy.find(method, path, root_path)

    def safe_next(self, target: str | None, default: str = "/") -> str:
        """Return the target after signing in; see `authguard.safe_next`.

        It is never this guard's login page.
        """
        return safe_next(target, default, login_paths=self.policy.login_paths)

    def health(self, now: float | None = None) -> list[RemoteHealth | StoreHealth | QuotaHealth]:
        """Return the state of each remote and store of this guard: fresh, stale or failing.

        Args:
            now: seconds since the epoch; None for the clock of the adapter, otherwise the current time.
        """
        stores = () if self._logouts is None else self._logouts.health()
        quotas = () if self.quotas is None else self.quotas.health()
        return [*self.remotes.health(now), *stores, *quotas]

    def close(self) -> None:
        """Close the connections to remotes, outside an event loop; later requests open new ones.

        A store of revocations stays open; its creator closes it.
        """
        self.remotes.close()

    async def aclose(self) -> None:
        """Close the connections to remotes, inside an event loop, as at lifespan shutdown.

        A store of revocations stays open, as in `close`.
        """
        await self.remotes.aclose()

    def __repr__(self) -> str:
        return f"Guard({', '.join(map(repr, self._verifiers))})"


def _check_kinds(cookie: object, resource: object, cache_size: object) -> None:
    check_object(cookie, "cookie", AccessCookie, "cookie=AccessCookie()")
    check_object(resource, "resource", ResourceMetadata, "resource=ResourceMetadata(…)")
    check_whole(cache_size, "cache_size", unit="credentials")


def _is_of_authguard(part: object) -> bool:
    """Return whether a part of a guard is None or an object of this package, and not of a subclass."""
    return part is None or type(part).__module__.partition(".")[0] == "authguard"
