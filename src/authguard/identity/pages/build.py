"""The pages for browsers, put together: what `Settings.pages` switches on and off.

page_entrance   sign in, register, forgotten passwords: for everybody
page_verify     the link that verifies an address
page_account    the account, its sessions, providers and password, signing out: for its owner
page_session    who is behind a browser: cookies, and refreshing
page_link       the token of a link in a mail: out of the URL at once
page_views      templates, headers, style
page_forms      what is wrong with a form, in words
page_errors     which refusals become pages
"""

from collections.abc import Collection, Iterable
from typing import Any

from starlette.routing import Route

from authguard.asgi import Scope
from authguard.identity.pages.account import AccountPages
from authguard.identity.pages.entrance import LINK_PATHS, EntrancePages
from authguard.identity.pages.error_pages import PageErrors
from authguard.identity.pages.verify import VerifyPages
from authguard.identity.pages.views import Views
from authguard.identity.service import IdentityService
from authguard.identity.social.provider import Provider
from authguard.identity.web.browser_session import PageSessions
from authguard.identity.web.link_cookie import take_token
from authguard.identity.web.messages import HANDLERS, Workers


class Pages:
    """All pages of the service; none if the settings say so.

    Args:
        service: the use cases.
        workers: where they run.
        sessions: the sessions of browsers.
        providers: what else there is to sign in with.
        doors: paths of the API to which browsers come as well.

    Attributes:
        routes: for the router.
        handlers: for Starlette's `exception_handlers`.
    """

    def __init__(
        self,
        service: IdentityService,
        workers: Workers,
        sessions: PageSessions,
        providers: Iterable[Provider],
        doors: Collection[str],
    ) -> None:
        self.routes: list[Route] = []
        self.handlers: Any = HANDLERS
        settings = service.settings
        if settings.pages:
            views = Views(settings)
            names = [provider.name for provider in providers]
            entrance = EntrancePages(service, workers, sessions, views, names)
            verify = VerifyPages(service, workers, sessions, views)
            account = AccountPages(service, workers, sessions, views)
            self.routes = [*entrance.routes(), *verify.routes(), *account.routes(), *views.routes()]
            self.handlers = PageErrors(views, self.paths, doors).handlers

    @property
    def paths(self) -> list[str]:
        """What the guard has to open: the pages look at the caller themselves."""
        return list(dict.fromkeys(route.path for route in self.routes))

    def take_token(self, scope: Scope) -> None:
        """Take the token of a link in a mail out of the URL, before anything can log it."""
        if self.routes and scope["type"] == "http" and scope["path"].endswith(LINK_PATHS):
            take_token(scope)
