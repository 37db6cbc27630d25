"""Build the ASGI application: the endpoints and the pages, behind the package's own guard."""

import logging
import re
from asyncio import Task, create_task
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from authguard._core.guard import Guard
from authguard._core.hosts import is_loopback
from authguard._core.options import check_list, check_object, named_options
from authguard._core.verifier import Verifier
from authguard.asgi import ASGIRequest, AuthGuardMiddleware, Receive, Scope, Send
from authguard.errors import ConfigurationError, RefusedError
from authguard.identity.api import accounts, oauth, social
from authguard.identity.api.accounts import AccountEndpoints
from authguard.identity.api.api_keys import APIKeyEndpoints
from authguard.identity.api.health import HEALTH_PATHS, HealthEndpoints
from authguard.identity.api.key_pairs import KeyPairEndpoints
from authguard.identity.api.oauth import OAuthEndpoints
from authguard.identity.api.own_account import OwnAccountEndpoints
from authguard.identity.api.reference import DocumentEndpoint
from authguard.identity.api.secret_scanning import (
    SCANNING_THREADS,
    SECRET_SCANNING,
    SecretScanningEndpoint,
)
from authguard.identity.api.social import SocialEndpoints
from authguard.identity.openapi.document import DOCUMENT, ServiceDocument
from authguard.identity.pages.account import LOGOUT_PAGE
from authguard.identity.pages.build import Pages
from authguard.identity.service import IdentityService
from authguard.identity.settings import Settings
from authguard.identity.social.configured import providers_from
from authguard.identity.social.provider import Provider
from authguard.identity.storage import migrations
from authguard.identity.web.cross_origin import CrossOrigin
from authguard.identity.web.interactive import KeysRefused, PeopleOnly
from authguard.identity.web.key_guards import KeyGuards
from authguard.identity.web.link_cookie import take_query
from authguard.identity.web.messages import REALM
from authguard.identity.web.mounted_path import MountedPath
from authguard.identity.web.parts import build_web

logger = logging.getLogger("authguard")

_PUBLIC_PATHS = (*accounts.PUBLIC_PATHS, *oauth.PUBLIC_PATHS)


@named_options
class Identity:
    """Serve the identity service as an ASGI application, mounted or alone.

    It protects itself. If it is mounted in a guarded application, list its path in `public_paths`.

    Args:
        service: the use cases, or the settings to build them from.
        providers: the providers for signing in; None for those of the settings.

    Raises:
        ConfigurationError: if the settings contradict each other, a page and an endpoint have the same path,
            or the tables have another version (with `Settings.dev` they are created).
    """

    #: For guards around it, which warn if they protect its open paths.
    protects_itself: ClassVar[Literal[True]] = True

    def __init__(
        self, service: IdentityService | Settings, *, providers: Iterable[Provider] | None = None
    ) -> None:
        if not isinstance(service, IdentityService):
            check_object(
                service, "service", Settings, "Identity(Settings(secret=…, issuer=…))", or_none=False
            )
        self.service = _service_of(service) if isinstance(service, Settings) else service
        self._settings = settings = self.service.settings
        _check_tables(self.service)
        self._web = build_web(self.service)
        self._providers = tuple(
            providers_from(settings) if providers is None else check_list(providers, "providers", "GitHub(…)")
        )
        for provider in self._providers:
            check_object(provider, "each of providers", Provider, "GitHub(…)", or_none=False)
        browser_paths = social.browser_paths(settings.prefixes, self._providers)
        names = [provider.name for provider in self._providers]
        self._document = ServiceDocument(settings, names)
        self._pages = Pages(self._web, names, browser_paths, self._document)
        endpoints = self._endpoints()
        self._document.describe(endpoints)
        paths = _paths(endpoints)
        if shadowed := sorted(paths.intersection(self._pages.paths)):
            raise ConfigurationError(
                f"pages_path and prefixes must give each path to one, got {shadowed[0]} for a page and an "
                "endpoint"
            )
        router = self._router(endpoints)
        self.guard = self._main_guard(paths, browser_paths)
        self.app = self._around(router, self.guard)
        self._unknown = self._unknown_paths()
        self._known = _known_paths(router.routes)
        self._by_path = self._exceptions()
        self._add_key_guards(router)
        self._cross_origin = self._allow_origins(endpoints)
        self._mounted = MountedPath(settings.issuer, has_pages=settings.pages)

    def _endpoints(self) -> list[BaseRoute]:
        """Return the routes of the API, and of the documents outside its prefixes."""
        prefixes = self._settings.prefixes
        endpoints = AccountEndpoints(self._web).routes(prefixes) + OwnAccountEndpoints(self._web).routes(
            prefixes
        )
        self._key_routes = self._managing_keys() if self._settings.api_keys else []
        endpoints += self._key_routes
        if self.service.leak_reports is not None:
            endpoints += SecretScanningEndpoint(self._web, self.service.leak_reports).routes(prefixes)
        oauth_endpoints = OAuthEndpoints(self._web)
        for prefix in prefixes:
            endpoints += oauth_endpoints.routes(prefix)
        on_refused = self._pages.handlers[RefusedError]
        for prefix in prefixes:
            endpoints += SocialEndpoints(self._web, prefix, self._providers, on_refused).routes()
        self._health = HealthEndpoints(self._web)
        endpoints += oauth_endpoints.well_known() + self._health.routes()
        if self._settings.openapi:
            endpoints += DocumentEndpoint(self._document).routes()
        return endpoints

    def well_known_routes(self) -> list[BaseRoute]:
        """Return the route of the metadata for an application in which the service is mounted.

        Clients look for the metadata of the issuer `https://example.com/id` outside the mount, at
        `/.well-known/oauth-authorization-server/id` (RFC 8414 section 3.1). Add the route to the outer
        application, and make its path public in that application's guard.
        """
        return OAuthEndpoints(self._web).outside_of_mount()

    def _unknown_paths(self) -> AuthGuardMiddleware:
        """Build the application for unknown paths, which answers 404 to every caller.

        A 401 would look like a wrong password to callers that forgot the prefix. The answer discloses no
        routes.
        """
        nothing = Starlette(exception_handlers=self._pages.unknown_handlers)
        nothing.router.redirect_slashes = False
        return self._around(nothing, self._light_guard(self.service.own_tokens.alone, ["/**"]))

    def _allow_origins(self, endpoints: Iterable[BaseRoute]) -> CrossOrigin:
        """Add CORS fields to the API and the documents."""
        methods = [route.methods or () for route in endpoints if isinstance(route, Route)]
        return CrossOrigin(
            self._serve,
            origins=tuple(self._settings.cors_origins),
            methods=set().union(*methods) - {"HEAD"},
            pages=self._pages.paths,
            documents=[DOCUMENT, *oauth.well_known_paths(self._settings.issuer)],
        )

    def _managing_keys(self) -> list[Route]:
        """Return the routes for managing API keys and reading their usage."""
        parts = APIKeyEndpoints(self._web), KeyPairEndpoints(self._web)
        return [
            route for part in parts for prefix in self._settings.prefixes for route in part.routes(prefix)
        ]

    def _router(self, endpoints: list[BaseRoute]) -> Starlette:
        router = Starlette(
            # A router tries the routes in order, and most requests are for the API.
            routes=[*endpoints, *self._pages.routes],
            exception_handlers=self._pages.handlers,
            lifespan=self._lifespan,
        )
        # The framework's redirect would use the Host field of the caller, and forward the password.
        router.router.redirect_slashes = False
        return router

    def _main_guard(self, paths: set[str], browser_paths: list[str]) -> Guard:
        """Build the guard of all paths except those of `_exceptions`.

        Args:
            paths: the paths of the API.
            browser_paths: the paths that redirect browsers to providers, and receive their callbacks.
        """
        authenticate = self._web.workers.batch_reads(self.service.sessions.authenticate_all).ask
        open_paths = [*_PUBLIC_PATHS, *([SECRET_SCANNING] if self._settings.secret_scanning else [])]
        public = [prefix + path for prefix in self._settings.prefixes for path in open_paths]
        public += [*oauth.well_known_paths(self._settings.issuer), *HEALTH_PATHS, DOCUMENT, *browser_paths]
        return Guard(
            self.service.own_tokens.alone,
            self._keys_refused,
            public_paths=["/.well-known", *public, *self._pages.paths],
            # Each public path is listed in full, because a public path also opens the paths below it.
            protected_paths=sorted(_pattern(path) for path in paths.difference(public)),
            cookie=self._settings.access_cookie,
            # Used instead of `revocations`: sessions, accounts and logouts are checked by one query.
            user_loader=PeopleOnly(authenticate).load,
            realm=REALM,
        )

    def _exceptions(self) -> dict[str, AuthGuardMiddleware]:
        """Return the guarded application for paths whose use cases check session and account themselves."""
        settings = self._settings
        # Refreshing checks session and account itself; another check would double its cost.
        refresh_paths = [prefix + accounts.REFRESH for prefix in settings.prefixes]
        refresh = self._light_guard(self.service.own_tokens.alone, refresh_paths)
        # An ended session, an expired token or a clock that is behind does not prevent a logout. All valid
        # tokens get the same answer, so that it discloses nothing.
        logout_paths = [prefix + accounts.LOGOUT for prefix in settings.prefixes]
        logout_pages = [settings.pages_path + LOGOUT_PAGE] if settings.pages else []
        logout = self._light_guard(self.service.tokens_to_end, logout_pages or None)
        return dict.fromkeys(refresh_paths, self.app.with_guard(refresh)) | dict.fromkeys(
            logout_paths + logout_pages, self.app.with_guard(logout)
        )

    def _light_guard(self, verifier: Verifier, public_paths: list[str] | None) -> Guard:
        """Build a guard that verifies only the token."""
        cookie = self._settings.access_cookie
        return Guard(verifier, self._keys_refused, public_paths=public_paths, cookie=cookie, realm=REALM)

    @property
    def _keys_refused(self) -> KeysRefused:
        """Return a verifier that refuses API keys at all paths except those of `_add_key_guards`."""
        return KeysRefused(self._settings.key_prefixes)

    def _add_key_guards(self, router: Starlette) -> None:
        """Accept API keys as well as tokens on the paths that manage keys and show the owner."""
        self._key_paths = [route.path_regex for route in self._key_routes if route.param_convertors]
        if not self._settings.api_keys:
            return
        guards = KeyGuards(self._web)
        reading = guards.build(self.service.api_key_verifier, counted=True)
        # reading and managing keys then have the same limits
        read = self._managing = self._around(router, reading)
        if not self._settings.count_key_management:
            managing = guards.build(self.service.key_manager_verifier, counted=False)
            self._managing = self.app.with_guard(managing)
        owner = [prefix + path for prefix in self._settings.prefixes for path in accounts.OWNER_PATHS]
        self._by_path |= dict.fromkeys(owner, read)
        self._by_path |= dict.fromkeys((route.path for route in self._key_routes), self._managing)

    def _app_of(self, path: str) -> AuthGuardMiddleware:
        """Return the guarded application for a path."""
        app = self._by_path.get(path)
        if app is not None:
            return app
        if any(pattern.fullmatch(path) for pattern in self._key_paths):
            return self._managing
        return self.app if self._known(path) else self._unknown

    def _around(self, router: Starlette, guard: Guard) -> AuthGuardMiddleware:
        return AuthGuardMiddleware(router, guard=guard, clock=self.service.clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        self._pages.take_token(scope)
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] in ("GET", "HEAD") and scope["path"].endswith(social.CALLBACK):
            take_query(scope)
        self.service.start()  # started in the serving process, which may have been forked
        self._mounted.check(scope)
        await self._cross_origin(scope, receive, send, self._path(scope))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, behind the guard of its path."""
        app = self._app_of(self._path(scope))
        if app is self._unknown:
            # This application has no routes. Its guard would answer 401 to the path if it is odd.
            scope = {**scope, "path": scope.get("root_path", "") + "/"}
        await app(scope, receive, send)

    def _path(self, scope: Scope) -> str:
        """Return the path below the mount point."""
        return ASGIRequest(scope, self.guard, []).path

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self.service.start()
        tasks: list[Task[Any]] = [create_task(self._health.find_failing())]  # logs the faults at the start
        if (reports := self.service.leak_reports) is not None:
            tasks.append(create_task(self._web.workers.ask_remote(SCANNING_THREADS, reports.prepare)))
        yield
        for task in tasks:
            task.cancel()
        self.close()

    def close(self) -> None:
        """Finish running requests, send waiting mails, and close all connections.

        If the service runs alone, this happens when the server stops. If it is mounted, call this at the end
        of the outer application's lifespan, because servers do not notify mounted applications.
        """
        for provider in self._providers:
            provider.close()
        self._web.workers.close()
        self.service.close()


def _service_of(settings: Settings) -> IdentityService:
    try:
        return IdentityService(settings)
    except ConfigurationError as error:  # also report faults of the tables, together with the first fault
        tables = None if settings.dev else migrations.find_fault(settings.database)
        raise ConfigurationError("; ".join(filter(None, [str(error), tables]))) from error


def _check_tables(service: IdentityService) -> None:
    """Create the tables in development, and check their version."""
    if service.settings.dev:
        _warn_of_dev(service.settings)
        migrations.upgrade(service.database)
    migrations.check(service.database)
    service.keep_usage()
    service.sessions.note_lifetime()
    service.keys.load(service.clock())  # the signing keys are encrypted with the same secret
    # logs the name of the log of revocations, so that it can be compared with that of guards
    service.revocations.check()
    # Workers that a server forks later must not share connections.
    service.database.close()


def _warn_of_dev(settings: Settings) -> None:
    """Log that a service for others is in development."""
    if not is_loopback(urlsplit(settings.issuer).hostname or ""):
        logger.warning(
            "the setting dev is on, and the issuer is %s: everyone who can reach it can create "
            "accounts and sign in by test-auth; leave dev out in production",
            settings.issuer,
        )


def _known_paths(routes: Iterable[BaseRoute]) -> Callable[[str], bool]:
    """Return a function that tells whether a route has a path."""
    with_paths = [route for route in routes if isinstance(route, Route)]
    fixed = {route.path for route in with_paths if not route.param_convertors}
    patterns = [route.path_regex for route in with_paths if route.param_convertors]
    # `match` would ignore a line break at the end of a path, as the router does.
    return lambda path: path in fixed or any(pattern.fullmatch(path) for pattern in patterns)


def _paths(routes: Iterable[BaseRoute]) -> set[str]:
    return {route.path for route in routes if isinstance(route, Route)}


def _pattern(path: str) -> str:
    """Return the pattern of a rule for the path of a route."""
    return re.sub(r"\{[^}]*\}", "*", path)


@named_options
def create_app(settings: Settings | None = None) -> Identity:
    """Create the identity service, from settings or from the environment.

    Raises:
        ConfigurationError: as `Identity` does.
    """
    return Identity(settings or Settings.from_env())
