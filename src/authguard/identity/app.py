"""The ASGI application: the routes, behind the package's own guard."""

import gc
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from authguard._core.guard import Guard
from authguard._core.options import check_list, check_object
from authguard._core.verifier import Verifier
from authguard.asgi import ASGIRequest, AuthGuardMiddleware, Receive, Scope, Send
from authguard.errors import ConfigurationError, RefusedError
from authguard.identity.api.accounts import LOGOUT, PUBLIC, REFRESH, Routes
from authguard.identity.api.oauth import OAuth
from authguard.identity.api.social import CALLBACK, SocialRoutes, doors
from authguard.identity.pages.account import LOGOUT_PAGE
from authguard.identity.pages.build import Pages
from authguard.identity.service import IdentityService
from authguard.identity.settings import Settings
from authguard.identity.social.openid import providers_from
from authguard.identity.social.provider import Provider
from authguard.identity.storage import migrations
from authguard.identity.web.browser_session import PageSessions
from authguard.identity.web.link_cookie import take_query
from authguard.identity.web.messages import REALM, Workers


class Identity:
    """The identity service as an ASGI application, to be mounted or to be run alone.

    It protects itself: mounted in a guarded application, open its path in `public_paths`.

    Args:
        service: the use cases, or the settings to make them from.
        providers: what else there is to sign in with; None for those of the settings.

    Raises:
        ConfigurationError: if the settings cannot be meant, a page and an endpoint would have one
            path, or the tables are not those of this version (with `Settings.dev` they are made).
    """

    def __init__(
        self, service: IdentityService | Settings, *, providers: Iterable[Provider] | None = None
    ) -> None:
        if not isinstance(service, IdentityService):
            check_object(
                service, "service", Settings, "Identity(Settings(secret=…, issuer=…))", or_none=False
            )
        self.service = IdentityService(service) if isinstance(service, Settings) else service
        settings = self.service.settings
        if settings.dev:
            migrations.upgrade(self.service.database)
        migrations.check(self.service.database)
        # None is open when a server forks its workers.
        self.service.database.close()
        workers = self._workers = Workers(settings.worker_threads, one_writer=self.service.database.is_sqlite)
        routes = Routes(self.service, workers)
        oauth = OAuth(self.service, workers)
        self._providers = tuple(
            providers_from(settings) if providers is None else check_list(providers, "providers", "GitHub(…)")
        )
        for provider in self._providers:
            check_object(provider, "each of providers", Provider, "GitHub(…)", or_none=False)
        sessions = PageSessions(self.service, workers)
        open_doors = doors(settings.prefixes, self._providers)
        self._pages = Pages(self.service, workers, sessions, self._providers, open_doors)
        social = SocialRoutes(
            self.service, workers, self._providers, sessions, self._pages.handlers[RefusedError]
        )
        api = [
            *routes.routes(settings.prefixes),
            *(route for prefix in settings.prefixes for route in oauth.routes(prefix)),
            *(route for prefix in settings.prefixes for route in social.routes(prefix)),
            *oauth.well_known(),
        ]
        paths = _paths(api)
        if shadowed := sorted(paths.intersection(self._pages.paths)):
            raise ConfigurationError(
                f"pages_path and prefixes must give each path to one, got {shadowed[0]} for a page and an "
                "endpoint"
            )
        app = Starlette(
            # A router tries them in turn, and most requests are for the API: 20 µs less for each.
            routes=[*api, *self._pages.routes],
            exception_handlers=self._pages.handlers,
            lifespan=self._lifespan,
        )
        # The framework's redirect goes to the host that the caller names, and takes the password along.
        app.router.redirect_slashes = False

        public = [
            "/.well-known",
            *_paths(oauth.well_known()),
            *(prefix + path for prefix in settings.prefixes for path in PUBLIC),
            *open_doors,
        ]

        authenticate = workers.reading(self.service.sessions.authenticate_all)
        self.guard = Guard(
            self.service.own_tokens,
            public_paths=[*public, *self._pages.paths],
            # Each by its name, since a public path opens what is below it, whatever the prefixes are.
            protected_paths=sorted(_pattern(path) for path in paths if path not in public),
            cookie=settings.access_cookie,
            # Takes the place of `revocations`: sessions, accounts and logouts are one query.
            user_loader=authenticate.ask,
            realm=REALM,
        )
        self.app = AuthGuardMiddleware(app, guard=self.guard, clock=self.service.clock)
        # Refreshing asks for session and account itself; to ask before would double its price.
        refresh_paths = [prefix + REFRESH for prefix in settings.prefixes]
        refreshing = self._around(app, self.service.own_tokens, public_paths=refresh_paths)
        # A session that has ended already is no reason against logging out, nor is an expired token:
        # all good ones get one answer, so that nothing can be found out by it.
        logout_paths = [prefix + LOGOUT for prefix in settings.prefixes]
        logout_pages = [settings.pages_path + LOGOUT_PAGE] if settings.pages else []
        leaving = self._around(app, self.service.past_tokens, public_paths=logout_pages or None)
        self._by_path = dict.fromkeys(refresh_paths, refreshing) | dict.fromkeys(
            logout_paths + logout_pages, leaving
        )

    def _around(
        self, app: Starlette, verifier: Verifier, *, public_paths: Iterable[str] | None
    ) -> AuthGuardMiddleware:
        """The guard of paths that look at session and account themselves."""
        cookie = self.service.settings.access_cookie
        guard = Guard(verifier, public_paths=public_paths, cookie=cookie, realm=REALM)
        return AuthGuardMiddleware(app, guard=guard, clock=self.service.clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        self._pages.take_token(scope)
        app = self.app
        if scope["type"] == "http":
            if scope["method"] == "GET" and scope["path"].endswith(CALLBACK):
                take_query(scope)
            app = self._by_path.get(ASGIRequest(scope, self.guard, []).path, app)
        await app(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        # What has been loaded stays as long as the server. To look through it again and again for garbage
        # would stop the event loop for 90 ms each time, every few seconds under load.
        gc.collect()
        gc.freeze()
        yield
        gc.unfreeze()
        self.close()

    def close(self) -> None:
        """Finish what has begun, send the mails that are waiting, and close all connections.

        Run alone, this happens when the server stops. Mounted, call it at the end of the lifespan of
        the application around: servers do not tell what is mounted.
        """
        for provider in self._providers:
            provider.close()
        self._workers.close()
        self.service.close()


def _paths(routes: Iterable[BaseRoute]) -> set[str]:
    return {route.path for route in routes if isinstance(route, Route)}


def _pattern(path: str) -> str:
    """The pattern of a rule for the path of a route."""
    return re.sub(r"\{[^}]*\}", "*", path)


def create_app(settings: Settings | None = None) -> Identity:
    """The identity service, from settings or from the environment.

    Raises:
        ConfigurationError: as `Identity` does.
    """
    return Identity(settings or Settings.from_env())
