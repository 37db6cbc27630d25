"""The guard: from a request to a decision. Read this first.

    request ─► credential ─► verifier ─► principal ─► policy ─► decision

`recall` is the straight path, for what can be told without asking anybody: known credentials,
tokens whose keys are here, public pages. `decide` is all the rest, as a flow. Neither does
anything: adapters read the request and write the answer.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from typing import Any, TypeAlias

from authguard._core.answer.decision import Allow, Decision, Deny
from authguard._core.answer.denials import Denials, OnError, as_refused
from authguard._core.answer.metadata import MetadataPage, ResourceMetadata
from authguard._core.answer.redirect import safe_next
from authguard._core.answer.refusal import Challenges, check_realm
from authguard._core.credential.cookies import AccessCookie
from authguard._core.credential.extractor import Extractor
from authguard._core.credential.subprotocol import Subprotocol
from authguard._core.dispatch import arrange
from authguard._core.flow import Call, Flow, Opened, Shared
from authguard._core.logouts import Logouts, Revocations
from authguard._core.memory import Memory
from authguard._core.model import (
    ANONYMOUS,
    ANONYMOUS_AUTH,
    Auth,
    Credential,
    Principal,
    api_key_id,
    make_auth,
)
from authguard._core.options import check_function, check_method, check_object, check_whole
from authguard._core.policy.patterns import local_path
from authguard._core.policy.policy import Policy, Verdict
from authguard._core.policy.rules import Preflight, Requirement, Rule, check_preflight
from authguard._core.proofs.proof import Proof, Proofs
from authguard._core.remembered import Remembered, digest_of, vary_on
from authguard._core.remote.http import RemoteHealth
from authguard._core.request import Asked, Presented, RequestView
from authguard._core.verifier import CustomVerifier, Verified, Verifier, as_flow, as_verifier
from authguard.errors import (
    CrossSiteRequestError,
    InsufficientScopeError,
    InvalidTokenError,
    MissingCredentialsError,
    RefusedError,
    UnexpectedError,
)

UserLoader: TypeAlias = Callable[[Principal], Any]
#: Who presents a credential, or why it is refused: data, so that many can wait for one of it.
Found: TypeAlias = Auth | RefusedError

_METHODS = ("bearer", "api_key", "cookie", "dpop")
_CARRIED = (
    ("bearer", "authorization"),
    ("dpop", "authorization"),
    ("api_key", "authorization"),
    ("cookie", "cookie"),
)
_PREFLIGHT_FIELDS = (b"origin", b"access-control-request-method")


class Guard:
    """Decides who may pass. Immutable, shared by threads, event loops and adapters.

    With no lists everything but the login page is protected. `public_paths` opens;
    `protected_paths` alone narrows the guard to what it lists, which is weaker: what you forget
    is open. With both, what neither names is protected.

    Args:
        verifiers: who can tell whether a credential is valid. The field and the prefix choose among
            those for API keys, the form of a token and its issuer among the others; one that takes any
            token is asked last. Those that cannot be told apart are refused.
        protected_paths: patterns or rules to protect; see `Rule`.
        public_paths: patterns or rules to open.
        login_path: where browsers are sent to sign in; None answers them with 401.
        cookie: the cookie that may carry an access token, where no field has a credential; None
            ignores cookies.
        revocations: what has been logged out, asked for each request.
        user_loader: from principal to the application's own user, which is then
            `request.state.user`; None from it means that the user is gone, and is a 401.
        proofs: `DPoP` and `MutualTLS`, for tokens that are bound to a key or a certificate; with
            none, such tokens are refused.
        resource: what this application is, and who issues tokens for it; served and named in
            every challenge (RFC 9728).
        subprotocol: the websocket subprotocol by which a browser may present a token, such as
            `authguard`, on ASGI; None ignores tokens there.
        preflight: how a CORS preflight of a protected path is treated. `"answer"`: the guard answers it
            by the application's own CORS layer, if it finds one, and no handler runs. `"pass"`: the
            application gets it, without its body, and only status and CORS fields come out.
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
        proofs: Iterable[Proof] = (),
        resource: ResourceMetadata | None = None,
        subprotocol: str | None = None,
        preflight: Preflight = "answer",
        on_error: OnError | None = None,
        realm: str = "api",
        cache_size: int = 10_000,
    ) -> None:
        check_object(cookie, "cookie", AccessCookie, "cookie=AccessCookie()")
        check_object(resource, "resource", ResourceMetadata, "resource=ResourceMetadata(…)")
        check_method(revocations, "revocations", "is_revoked", "revocations=MemoryRevocations()")
        check_function(user_loader, "user_loader")
        check_function(on_error, "on_error")
        self._verifiers = [as_verifier(verifier) for verifier in verifiers]
        self._asked = arrange(self._verifiers)
        login_path = None if login_path is None else local_path(login_path, "login_path")
        self._proofs = Proofs(proofs)
        self.metadata_page = None if resource is None else MetadataPage(resource, **self._proofs.metadata)
        self.policy = Policy(
            protected_paths,
            public_paths,
            [login_path] if login_path else [],
            resource.paths if resource else (),
        )
        self.cookie = cookie
        self.subprotocol = None if subprotocol is None else Subprotocol(subprotocol)
        self._preflight: Preflight = check_preflight(preflight)
        self._extractor = Extractor(
            {verifier.header for verifier in self._verifiers if verifier.header},
            {prefix for verifier in self._verifiers for prefix in verifier.prefixes},
            cookie,
            dpop=bool(self._proofs.algorithms),
        )
        challenges = Challenges(check_realm(realm), resource.url if resource else "", self._proofs.algorithms)
        self._denials = Denials(self.policy, login_path, challenges, self._extractor, on_error)
        # The fields that a `RequestView` must present: by name, by length, by CGI name.
        self.credential_fields = self._extractor.fields
        self.credential_lengths = frozenset(map(len, self.credential_fields))
        self.credential_keys = [
            (name, "HTTP_" + name.decode("ascii").upper().replace("-", "_"))
            for name in sorted(self.credential_fields)
        ]
        self._logouts = None if revocations is None else Logouts(revocations)
        self._user_loader = user_loader
        check_whole(cache_size, "cache_size", unit="credentials")
        self._vary = {method: vary_on(self._extractor, method) for method in _METHODS}
        # One memory for each way and field to carry a credential, so that none passes for another.
        keys = sorted(field.decode("ascii") for field in self._extractor.key_fields)
        carried = [*_CARRIED, *(("api_key", field) for field in keys)]
        self._memories = {way: Remembered(cache_size) for way in carried}
        # Tokens that need a proof with each request, where `recall` never looks.
        self._bound: Memory[tuple[str, str, bytes], tuple[float, Auth]] = Memory(cache_size)
        self._straight = self._straight_memories()

    def _straight_memories(self) -> dict[bytes, Remembered]:
        """Where `recall` may look by field name: nowhere, if each request has a slow step."""
        if self._user_loader is not None or not (self._logouts is None or self._logouts.in_memory):
            return {}
        memories = self._memories
        keys = {field: memories["api_key", field.decode("ascii")] for field in self._extractor.key_fields}
        return {**keys, b"authorization": memories["bearer", "authorization"]}

    def recall(self, presented: Presented, asked: Asked, now: float) -> Found | Deny | Shared[Found] | None:
        """The straight path: who this is, if nothing has to be asked, and if they may pass.

        A credential that is known costs one look-up; a token that is seen for the first time is
        verified at once, if its verifier has the keys. It takes what it needs of a request one by
        one: to make a `RequestView` first would cost 1 µs, a third of all that a known caller costs.

        Args:
            presented: the credential fields, as in `RequestView`.
            asked: as in `RequestView.request_key`, but with the HTTP method as the server gives it.
            now: seconds since the epoch.

        Returns:
            None if `decide` has to find out; a refusal, if it needs nothing else of the request.
            For `decide`, too: why nobody was found; or a question, whose answer it needs. A
            thousand who present the same token wait for that, and each has spent only as much
            as it takes to see that the token is not known.
        """
        if len(presented) != 1:
            return None if presented else self._nobody(asked)
        name, value = presented[0]
        memory = self._straight.get(name)
        if memory is None:
            return None
        digest = sha256(value).digest()
        remembered = memory.young.get(digest) or memory.get(digest)
        if remembered is None or now >= remembered[0]:
            found = self._verify_at_once(name, value, digest, now)
            if not isinstance(found, Auth):
                return self._refused_at_once(found, asked) if isinstance(found, RefusedError) else found
            auth = found
        else:
            auth = remembered[1]
        policy = self.policy
        verdict = policy.memory.young.get(asked) or policy.find_for_http(asked)
        # Each time, also for a token that is known: a sign-in grows old.
        if verdict.requirements and not verdict.admits(auth.principal, now):
            return None
        if self._logouts is not None and self._logouts.has(auth.principal):
            return None
        return auth

    def _nobody(self, asked: Asked) -> Found | Deny | None:
        """Nobody, or that there is nobody: 10 µs less for a public page, 6 for a refusal."""
        signs_in = self.cookie is not None and self.policy.is_login_page(asked[1])
        if not self._straight or signs_in:
            return None
        verdict = self.policy.find_for_http(asked)
        if not verdict.protected:
            return ANONYMOUS_AUTH
        refused = None if _may_pass(verdict, asked) else self._denials.missing
        return refused or MissingCredentialsError("no credential")

    def _refused_at_once(self, error: RefusedError, asked: Asked) -> Found | Deny:
        verdict = self.policy.find_for_http(asked)
        return (not _may_pass(verdict, asked) and self._denials.at_once(error)) or error

    def _verify_at_once(
        self, name: bytes, value: bytes, digest: bytes, now: float
    ) -> Found | Shared[Found] | None:
        credential = self._extractor.plain_bearer(value) if name == b"authorization" else None
        if credential is None:
            return None
        try:
            verified = self._verifier_of(credential).flow(credential, now)
            if not isinstance(verified, Verified):
                return self._shared(credential, digest, now)
            auth = self._remember(credential, digest, verified, now)
        except RefusedError as error:
            return error
        except Exception:
            return None  # `decide` will meet it again, and say what is wrong
        return None if auth.confirmation else auth  # a bound token needs a proof with each request

    def decide(self, request: RequestView, now: float, found: Found | None = None) -> Flow[Decision]:
        """Decide about a request; nothing that callbacks raise gets past it.

        Args:
            request: the request.
            now: seconds since the epoch.
            found: what `recall` found out, or what its question was answered with.
        """
        try:
            verdict = self.policy.find_for(request.request_key)
            if verdict.protected and verdict.optional is None and self._is_preflight(request):
                mode: Preflight = verdict.preflight or self._preflight
                return Allow(ANONYMOUS_AUTH, ANONYMOUS, preflight=mode)
            if isinstance(found, RefusedError):
                return (yield from self._refused(request, verdict, found))
            auth: Auth | None = None
            try:
                auth, nonce = yield from self._identify(request, now, found)
                if verdict.protected:
                    verdict.check(auth.principal, now)
                user: Any = auth.principal
                if self._user_loader is not None:
                    user = yield from self._load_user(self._user_loader, auth.principal)
                return Allow(auth, user, None, auth.vary, nonce)
            except Exception as raised:
                return (yield from self._refused(request, verdict, _refused_for(raised, auth)))
        except Exception as raised:
            return (yield from self._denials.deny(request, as_refused(raised)))

    def _is_preflight(self, request: RequestView) -> bool:
        """Return whether this is a CORS preflight; browsers send none with a credential (WHATWG Fetch)."""
        if request.method != "OPTIONS" or not all(request.fields(name) for name in _PREFLIGHT_FIELDS):
            return False
        if any(name != b"cookie" for name, _ in request.presented):
            return False
        return self.cookie is None or self.cookie.read(request) is None

    def _load_user(self, load: UserLoader, principal: Principal) -> Flow[Any]:
        user = yield from Call(load, principal)
        if user is None:
            raise InvalidTokenError("the user is gone")
        return user

    def _refused(self, request: RequestView, verdict: Verdict, error: RefusedError) -> Flow[Decision]:
        """Nobody is known: the answer to that, or an anonymous caller where that is enough."""
        missing = isinstance(error, MissingCredentialsError)
        optional = verdict.optional == "lenient" or (missing and verdict.optional == "strict")
        if (verdict.protected and not optional) or isinstance(error, UnexpectedError):
            return (yield from self._denials.deny(request, error))
        if self.cookie and self.policy.is_login_page(request.path) and self.cookie.is_cross_site(request):
            raise CrossSiteRequestError("another site must not sign its visitors in here")
        vary = "Authorization, Cookie" if verdict.optional else ""
        return Allow(ANONYMOUS_AUTH, ANONYMOUS, error, vary)

    def _identify(
        self, request: RequestView, now: float, found: Auth | None, *, proven: bool = False
    ) -> Flow[tuple[Auth, str]]:
        """Who presents the credential, and the nonce for the next proofs; raises if there is nobody."""
        credential, nonce = None, ""
        if found is None or found.confirmation:
            credential = self._credential(request)
            found = found or (yield from self._find(credential, now))
        if credential is not None and not proven and (found.confirmation or credential.method == "dpop"):
            nonce = yield from self._proofs.check(request, credential, found.confirmation, now)
        if self._logouts is not None:
            yield from self._logouts.check(found.principal)
        return found, nonce

    def _credential(self, request: RequestView) -> Credential:
        credential = self._extractor.extract(request)
        if credential is None:
            hint = self.cookie.hint(request) if self.cookie else None
            raise MissingCredentialsError("no credential", hint=hint)
        if credential.method == "cookie" and self.cookie and self.cookie.is_cross_site(request) is not False:
            raise CrossSiteRequestError("nothing shows that this site started the request")
        return credential

    def _find(self, credential: Credential, now: float) -> Flow[Auth]:
        key = digest_of(credential)
        way = (credential.method, credential.header)
        remembered = self._memories[way].get(key) or self._bound.get((*way, key))
        if remembered is not None and now < remembered[0]:
            return remembered[1]
        found = yield from self._shared(credential, key, now) or self._verify(credential, key, now)
        if isinstance(found, RefusedError):
            raise found.with_traceback(None)  # it may be raised for many, and would grow each time
        return found

    def _shared(self, credential: Credential, key: bytes, now: float) -> Shared[Found] | None:
        """The question that all have in common who present this credential now, if its verifier says so."""
        channel = self._verifier_of(credential).channel
        if channel is None:
            return None
        make = partial(self._verify, credential, key, now)
        return Shared(channel, (self, credential.method, key), make)

    def _verify(self, credential: Credential, key: bytes, now: float) -> Flow[Found]:
        try:
            verified = yield from as_flow(self._verifier_of(credential).flow(credential, now))
            return self._remember(credential, key, verified, now)
        except Exception as raised:
            return as_refused(raised)

    def _remember(self, credential: Credential, key: bytes, verified: Verified, now: float) -> Auth:
        if not verified.principal.is_authenticated:
            raise InvalidTokenError("the verifier found nobody")
        confirmation = self._proofs.confirmation_of(verified.principal.claims)
        auth = make_auth(verified.principal, self._vary[credential.method], confirmation)
        if verified.until > now and confirmation:
            self._bound.put((credential.method, credential.header, key), (verified.until, auth))
        elif verified.until > now:
            self._memories[credential.method, credential.header].put(key, (verified.until, auth))
        return auth

    def _verifier_of(self, credential: Credential) -> Verifier:
        for verifier in self._asked:
            if verifier.accepts(credential):
                return verifier
        raise InvalidTokenError("no verifier is for this kind of credential")

    def authorize(
        self,
        request: RequestView,
        auth: Auth,
        error: RefusedError | None,
        requirement: Requirement,
        now: float,
    ) -> Flow[Deny | None]:
        """What a route asks for beyond the path rules; None if the caller has it.

        Args:
            request: the request.
            auth: what `decide` found.
            error: why nobody was found, if so.
            requirement: what the route requires; if empty, just to be somebody.
            now: seconds since the epoch.
        """
        if not auth.principal.is_authenticated:
            return (yield from self._denials.deny(request, error or MissingCredentialsError("no credential")))
        try:
            requirement.check(auth.principal, now)
        except RefusedError as lacking:
            return (yield from self._denials.deny(request, _refused_for(lacking, auth)))
        return None

    def recheck(self, request: RequestView, auth: Auth, now: float) -> Flow[Deny | None]:
        """Whether a connection that lasts, such as a websocket, may go on; None if it may.

        The credential of its handshake is looked at again. A proof of possession is not asked for: it
        was good for the handshake, and there is no request that could bring another. The rules hold as
        they did: where one asks for a recent sign-in, the connection ends when that has grown old.

        Args:
            request: the handshake.
            auth: what `decide` found.
            now: seconds since the epoch.
        """
        try:
            found, _ = yield from self._identify(request, now, None, proven=True)
            principal, before = found.principal, auth.principal
            if (principal.issuer, principal.subject) != (before.issuer, before.subject):
                raise InvalidTokenError("the credential is somebody else's now")
            verdict = self.policy.find_for(request.request_key)
            if verdict.protected:
                verdict.check(principal, now)
            # What a route asked for beyond the rules is not known here, so nothing may be missing.
            if not (principal.scopes >= before.scopes and principal.roles >= before.roles):
                raise InsufficientScopeError("a scope or a role was withdrawn", scopes=before.scopes)
            if self._user_loader is not None:
                yield from self._load_user(self._user_loader, principal)
        except Exception as raised:
            return (yield from self._denials.deny(request, _refused_for(raised, auth)))
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
        auth = Auth(principal or Principal(subject="override"))

        def identify(
            request: RequestView, now: float, found: Auth | None, *, proven: bool = False
        ) -> Flow[tuple[Auth, str]]:
            if not auth.principal.is_authenticated:
                raise MissingCredentialsError("no credential")
            return auth, ""
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


def _refused_for(error: Exception, auth: Auth | None) -> RefusedError:
    """Return the refusal that answers an exception, with the name of the API key for the log."""
    refused = as_refused(error)
    if auth is not None:
        refused.key_id = api_key_id(auth.principal) or refused.key_id
    return refused


def _may_pass(verdict: Verdict, asked: Asked) -> bool:
    """Whether a request can pass without a good credential; `decide` finds out whether it does."""
    return not verdict.protected or verdict.optional is not None or asked[0] == "OPTIONS"
