"""The guard: from a request to a decision. Read this first.

    request ─► credential ─► verifier ─► principal ─► policy ─► decision

`recall` is the straight path for a credential that was verified before; `decide` is all the
rest, as a flow. Neither does anything: adapters read the request and write the answer.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Protocol, TypeAlias

from authguard._core.answer import Refusal, refuse, see_other
from authguard._core.cookies import AccessCookie
from authguard._core.credentials import Extractor
from authguard._core.decision import Allow, Decision, Deny
from authguard._core.flow import Call, Flow, Opened
from authguard._core.memory import Memory
from authguard._core.model import ANONYMOUS, ANONYMOUS_AUTH, Auth, Credential, Principal, auth_of
from authguard._core.policy import Policy, Verdict
from authguard._core.redirect import is_htmx, login_location, navigates, safe_next
from authguard._core.remote import RemoteHealth
from authguard._core.request import Presented, RequestView
from authguard._core.rules import Requirement, Rule, local_path
from authguard._core.verifier import CustomVerifier, Verified, Verifier, as_verifier
from authguard.errors import (
    ConfigurationError,
    CrossSiteRequestError,
    InvalidTokenError,
    MissingCredentialsError,
    RefusedError,
    RevokedTokenError,
    UnexpectedError,
)

UserLoader: TypeAlias = Callable[[Principal], Any]
OnError: TypeAlias = Callable[[RequestView, Refusal], Refusal | Awaitable[Refusal]]


class Revocations(Protocol):
    """Where logouts are kept.

    `is_revoked` may be `async`; if not, it runs in a worker thread, unless the store says of
    itself, by `in_memory = True`, that it never waits for anything.
    """

    def is_revoked(self, principal: Principal) -> bool | Awaitable[bool]:
        """Whether the principal's token, session or subject has been revoked."""
        ...


_PREFLIGHT_FIELDS = (b"origin", b"access-control-request-method")


class Guard:
    """Decides who may pass. Immutable, shared by threads, event loops and adapters.

    With no lists everything but the login page is protected. `public_paths` opens;
    `protected_paths` alone narrows the guard to what it lists, which is weaker: what you forget
    is open. With both, what neither names is protected.

    Args:
        verifiers: who can tell whether a credential is valid; the first that accepts the
            credential decides.
        protected_paths: patterns or rules to protect; see `Rule`.
        public_paths: patterns or rules to open.
        login_path: where browsers are sent to sign in; None answers them with 401.
        cookie: the cookie that may carry an access token; None ignores cookies.
        revocations: what has been logged out, asked for each request.
        user_loader: from principal to the application's own user, which is then
            `request.state.user`; None from it means that the user is gone, and is a 401.
        on_error: given the request and the `Refusal`, returns the one to send.
        realm: the realm of the challenge.
        cache_size: how many verified credentials to remember.

    Raises:
        ConfigurationError: if this cannot be meant.
    """

    def __init__(
        self,
        *verifiers: Verifier | CustomVerifier,
        protected_paths: Iterable[str | Rule] | None = None,
        public_paths: Iterable[str | Rule] | None = None,
        login_path: str | None = None,
        cookie: AccessCookie | None = None,
        revocations: Revocations | None = None,
        user_loader: UserLoader | None = None,
        on_error: OnError | None = None,
        realm: str = "api",
        cache_size: int = 10_000,
    ) -> None:
        self._verifiers = _together([as_verifier(verifier) for verifier in verifiers])
        self._login_path = None if login_path is None else local_path(login_path, "login_path")
        self.policy = Policy(protected_paths, public_paths, [login_path] if login_path else [])
        self.cookie = cookie
        self._extractor = Extractor(
            {verifier.header for verifier in self._verifiers if verifier.header},
            {prefix for verifier in self._verifiers for prefix in verifier.prefixes},
            cookie,
        )
        # The fields that a `RequestView` must present: by name, by length, by CGI name.
        self.credential_fields = self._extractor.fields
        self.credential_lengths = frozenset(map(len, self.credential_fields))
        self.credential_keys = [
            (name, "HTTP_" + name.decode("ascii").upper().replace("-", "_"))
            for name in sorted(self.credential_fields)
        ]
        self._revocations = revocations
        self._user_loader = user_loader
        self._on_error = on_error
        self._realm = _check_realm(realm)
        if not isinstance(cache_size, int) or cache_size < 1:
            raise ConfigurationError("cache_size is the number of credentials to remember, at least 1")
        # One memory for each way to carry a credential, so that none passes for another.
        self._vary = {method: _vary_on(self._extractor, method) for method in ("bearer", "api_key", "cookie")}
        self._memories = {method: _Remembered(cache_size) for method in ("bearer", "api_key", "cookie")}
        self._straight = self._straight_memories()

    def _straight_memories(self) -> dict[bytes, "_Remembered"]:
        """Where `recall` may look by field name: nowhere, if each request has a slow step."""
        if self._user_loader is not None or not (self._revocations is None or _in_memory(self._revocations)):
            return {}
        keys = dict.fromkeys(self._extractor.key_fields, self._memories["api_key"])
        return {**keys, b"authorization": self._memories["bearer"]}

    def recall(self, presented: Presented, method: str, path: str, root_path: str, now: float) -> Auth | None:
        """The straight path: who this is, if it is known, valid now, and may pass.

        It takes what it needs of a request one by one: to make a `RequestView` first would cost
        0.5 µs, a fifth of all that a known caller costs.

        Args:
            presented: the credential fields, as in `RequestView`.
            method: as in `RequestView`.
            path: as in `RequestView`.
            root_path: as in `RequestView`.
            now: seconds since the epoch.

        Returns:
            None if `decide` has to be asked; nothing is decided then.
        """
        if len(presented) != 1:
            return None
        name, value = presented[0]
        memory = self._straight.get(name)
        if memory is None:
            return None
        digest = sha256(value).digest()
        remembered = memory.young.get(digest) or memory.get(digest)
        if remembered is None or now >= remembered[0]:
            return None
        auth = remembered[1]
        verdict = self.policy.find(method, path, root_path)
        if verdict.requirements and not verdict.admits(auth.principal):
            return None
        if self._revocations is not None and self._is_revoked(self._revocations, auth.principal):
            return None
        return auth

    def _is_revoked(self, revocations: Revocations, principal: Principal) -> bool:
        try:
            return revocations.is_revoked(principal) is not False
        except Exception:
            return True  # `decide` will ask again, and say what is wrong

    def decide(self, request: RequestView, now: float) -> Flow[Decision]:
        """Decide about a request; nothing that callbacks raise gets past it.

        Args:
            request: the request.
            now: seconds since the epoch.
        """
        try:
            return (yield from self._decide(request, now))
        except RefusedError as error:
            return (yield from self.deny(request, error))
        except Exception as error:
            unexpected = UnexpectedError("a callback or verifier raised")
            unexpected.__cause__ = error
            return (yield from self.deny(request, unexpected))

    def _decide(self, request: RequestView, now: float) -> Flow[Allow]:
        if request.method == "OPTIONS" and all(request.fields(name) for name in _PREFLIGHT_FIELDS):
            # A CORS preflight never has credentials (WHATWG Fetch); nobody is attached to it.
            return Allow(ANONYMOUS_AUTH, ANONYMOUS)
        verdict = self.policy.find(request.method, request.path, request.root_path)
        try:
            auth = yield from self._identify(request, now)
            if verdict.protected:
                verdict.check(auth.principal)
            if self._user_loader is None:
                return Allow(auth, auth.principal, vary=auth.vary)
            user = yield from Call(self._user_loader, auth.principal)
            if user is None:
                raise InvalidTokenError("the user is gone")
            return Allow(auth, user, vary=auth.vary)
        except RefusedError as error:
            return self._without_principal(request, verdict, error)

    def _without_principal(self, request: RequestView, verdict: Verdict, error: RefusedError) -> Allow:
        """Nobody is known: pass as anonymous where that is allowed, else raise."""
        missing = isinstance(error, MissingCredentialsError)
        optional = verdict.optional == "lenient" or (missing and verdict.optional == "strict")
        if verdict.protected and not optional:
            raise error
        if self.cookie and self.policy.is_login_page(request.path) and self.cookie.is_cross_site(request):
            raise CrossSiteRequestError("another site must not sign its visitors in here")
        return Allow(ANONYMOUS_AUTH, ANONYMOUS, error, "Authorization, Cookie" if verdict.optional else "")

    def _identify(self, request: RequestView, now: float) -> Flow[Auth]:
        """Who presents the credential; raises if there is none, or it is not valid now."""
        credential = self._extractor.extract(request)
        if credential is None:
            raise MissingCredentialsError("no credential")
        if credential.method == "cookie" and self.cookie and self.cookie.is_cross_site(request) is not False:
            raise CrossSiteRequestError("nothing shows that this site started the request")
        key = _digest(credential)
        memory = self._memories[credential.method]
        remembered = memory.get(key)
        if remembered is not None and now < remembered[0]:
            auth = remembered[1]
        else:
            verified = yield from self._ask_verifier(credential, now)
            if not verified.principal.is_authenticated:
                raise InvalidTokenError("the verifier found nobody")
            auth = auth_of(verified.principal, self._vary[credential.method])
            if verified.until > now:
                memory.put(key, (verified.until, auth))
        if self._revocations is not None:
            yield from self._refuse_revoked(self._revocations, auth.principal)
        return auth

    def _ask_verifier(self, credential: Credential, now: float) -> Flow[Verified]:
        for verifier in self._verifiers:
            if verifier.accepts(credential):
                return (yield from verifier.flow(credential, now))
        raise InvalidTokenError("no verifier is for this kind of credential")

    def _refuse_revoked(self, revocations: Revocations, principal: Principal) -> Flow[None]:
        if _in_memory(revocations):
            revoked = revocations.is_revoked(principal)
        else:
            revoked = yield from Call(revocations.is_revoked, principal)
        if revoked is None:
            raise TypeError("is_revoked() must return whether the principal is revoked")
        if revoked:
            raise RevokedTokenError("revoked")

    def deny(self, request: RequestView, error: RefusedError) -> Flow[Deny]:
        """The answer to an error: a login redirect for a person's browser, else a problem."""
        refusal = self._redirect(request, error) or refuse(error, self._realm)
        if self._on_error is not None and refusal.error is not None:
            try:
                replaced = yield from Call(self._on_error, request, refusal)
                if not isinstance(replaced, Refusal):
                    raise TypeError("on_error must return a Refusal")
                refusal = replaced
            except Exception as raised:
                error = UnexpectedError("on_error raised")
                error.__cause__ = raised
                refusal = refuse(error, self._realm)
        return Deny(error, refusal)

    def _redirect(self, request: RequestView, error: RefusedError) -> Refusal | None:
        # A stale cookie is a reason to sign in again; a bad header field is a program's mistake.
        if error.status_code != 401 or any(name != b"cookie" for name, _ in request.presented):
            return None
        if self.policy.is_login_page(request.path):
            return None
        verdict = self.policy.find(request.method, request.path, request.root_path)
        login_path = verdict.login_path or self._login_path
        if login_path is None:
            return None
        location = login_location(request, login_path, self.policy.login_paths)
        if is_htmx(request):
            return refuse(error, self._realm).with_header("hx-redirect", location)
        return see_other(location) if navigates(request) else None

    def authorize(
        self, request: RequestView, auth: Auth, error: RefusedError | None, requirement: Requirement
    ) -> Flow[Deny | None]:
        """What a route asks for beyond the path rules; None if the caller has it.

        Args:
            request: the request.
            auth: what `decide` found.
            error: why nobody was found, if so.
            requirement: what the route requires; if empty, just to be somebody.
        """
        if not auth.principal.is_authenticated:
            return (yield from self.deny(request, error or MissingCredentialsError("no credential")))
        try:
            requirement.check(auth.principal)
        except RefusedError as lacking:
            return (yield from self.deny(request, lacking))
        return None

    def explain(self, method: str, path: str, root_path: str = "") -> Verdict:
        """Which rule decides about a request, and why.

        Args:
            method: such as `GET`; `WEBSOCKET` for a handshake.
            path: decoded, below the mount point.
            root_path: the mount point.
        """
        return self.policy.find(method, path, root_path)

    def safe_next(self, target: str | None, default: str = "/") -> str:
        """Where to go after signing in; see `authguard.safe_next`. Never this guard's login page."""
        return safe_next(target, default, login_paths=self.policy.login_paths)

    @contextmanager
    def override(self, user: Any, *, principal: Principal | None = None) -> Iterator[None]:
        """For tests: whoever sends a request is this user. Rules, scopes and roles still apply.

        Args:
            user: a principal, `ANONYMOUS`, or the application's own user.
            principal: whom the guard sees, if the user is not a principal.
        """
        if isinstance(user, Principal):
            principal = user
        auth = auth_of(principal or Principal(subject="override"))

        def identify(request: RequestView, now: float) -> Flow[Auth]:
            if auth is ANONYMOUS_AUTH:
                raise MissingCredentialsError("no credential")
            return auth
            yield  # a flow that asks nothing

        changed = {"_identify": identify, "_user_loader": lambda _: user, "_straight": {}}
        before = {name: value for name, value in vars(self).items() if name in changed}
        vars(self).update(changed)
        try:
            yield
        finally:
            vars(self).pop("_identify")
            vars(self).update(before)

    def health(self, now: float | None = None) -> list[RemoteHealth]:
        """How each remote is doing that this guard asks: what is fresh, stale or failing.

        Args:
            now: seconds since the epoch; None for the time of day.
        """
        return [one for verifier in self._verifiers for one in verifier.health(now)]

    def close(self) -> None:
        """Close the connections to remotes, from outside of an event loop; later requests open new ones."""
        for opened in self._opened():
            opened.close()

    async def aclose(self) -> None:
        """Close the connections to remotes, from inside of an event loop, as lifespan shutdown does."""
        for opened in self._opened():
            await opened.aclose()

    def _opened(self) -> list[Opened]:
        channels = [channel for verifier in self._verifiers for channel in verifier.channels()]
        return [opened for channel in channels for opened in list(channel.opened.values())]

    def __repr__(self) -> str:
        return f"Guard({', '.join(map(repr, self._verifiers))})"


def _together(verifiers: Sequence[Verifier]) -> list[Verifier]:
    if not verifiers:
        raise ConfigurationError("a guard needs at least one verifier: JWTVerifier(…) or APIKeyVerifier(…)")
    kinds = list(dict.fromkeys(type(verifier) for verifier in verifiers))
    return [
        one
        for kind in kinds
        for one in kind.together([verifier for verifier in verifiers if type(verifier) is kind])
    ]


def _check_realm(realm: str) -> str:
    if not realm.isascii() or not realm.isprintable() or '"' in realm or "\\" in realm:
        raise ConfigurationError("realm is printable ASCII without quotes and backslashes")
    return realm


class _Remembered(Memory[bytes, tuple[float, Auth]]):
    """Verified credentials by digest (law 9: nothing is kept in clear), with their last second."""

    __slots__ = ()


def _digest(credential: Credential) -> bytes:
    """For Bearer, of the whole field as clients write it: `recall` need not take it apart."""
    value = credential.value.encode("latin-1")
    return sha256(b"Bearer " + value if credential.method == "bearer" else value).digest()


def _in_memory(revocations: Revocations) -> bool:
    return bool(getattr(revocations, "in_memory", False))


def _vary_on(extractor: Extractor, method: str) -> str:
    """Shared caches keep answers to Authorization apart by themselves (RFC 9111 section 3.5)."""
    if method == "api_key":
        return ", ".join(sorted(field.decode() for field in extractor.key_fields))
    return "Cookie" if method == "cookie" else ""
