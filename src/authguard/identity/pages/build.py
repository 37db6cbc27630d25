"""Build the pages for browsers that `Settings.pages` switches on.

| file | its pages, or its job |
|---|---|
| sign_in_pages | sign in, register, request a mail with a link: for all visitors |
| verify, reset_password, change_email | the targets of the links in mails |
| account | the account, its sessions, providers and password, signing out: for its owner |
| own_account | another address, deleting the account: for its owner |
| key_pages, key_usage_page | the API keys of an account, and their usage: for its owner |
| reference_page | the OpenAPI document, for all visitors |
| link_pages, owner_pages | the common parts of the pages of links, and of those for owners |
| views | templates, headers, style |
| forms, error_pages | the faults of a form in words, and refusals as pages |
"""

from collections.abc import Collection, Iterable
from typing import Any

from starlette.routing import Route

from authguard.asgi import Scope
from authguard.identity.openapi.document import ServiceDocument
from authguard.identity.pages.account import AccountPages
from authguard.identity.pages.change_email import ChangeEmailPages
from authguard.identity.pages.error_pages import PageErrors
from authguard.identity.pages.key_pages import KeyPages
from authguard.identity.pages.key_usage_page import KeyUsagePage
from authguard.identity.pages.own_account import OwnAccountPages
from authguard.identity.pages.reference_page import ReferencePage
from authguard.identity.pages.reset_password import ResetPages
from authguard.identity.pages.sign_in_pages import LINK_PATHS, SignInPages
from authguard.identity.pages.verify import VerifyPages
from authguard.identity.pages.views import Views
from authguard.identity.web.link_cookie import take_token
from authguard.identity.web.parts import Web
from authguard.identity.web.refusals import HANDLERS


class Pages:
    """Build all pages of the service; none if they are switched off.

    Args:
        web: the service, its threads, and the browser sessions.
        providers: the names of the social providers.
        browser_paths: paths of the API that browsers request as well.
        document: the OpenAPI document, for its page.

    Attributes:
        routes: for the router.
        handlers: for Starlette's `exception_handlers`.
        unknown_handlers: the same, for unknown paths; a browser that navigates gets a page.
    """

    def __init__(
        self,
        web: Web,
        providers: Iterable[str],
        browser_paths: Collection[str],
        document: ServiceDocument,
    ) -> None:
        self.routes: list[Route] = []
        self.handlers: Any = HANDLERS
        self.unknown_handlers: Any = HANDLERS
        if web.settings.pages:
            views = Views(web.settings)
            sign_in = SignInPages(web, views, providers)
            verify, reset = VerifyPages(web, views), ResetPages(web, views)
            account, keys, usage = (page(web, views) for page in (AccountPages, KeyPages, KeyUsagePage))
            own, change_email = OwnAccountPages(web, views), ChangeEmailPages(web, views)
            reference = ReferencePage(web.settings, views, document)
            parts = sign_in, verify, reset, change_email, account, own, keys, usage, reference, views
            self.routes = [route for part in parts for route in part.routes()]
            self.handlers = PageErrors(views, self.paths, browser_paths).handlers
            self.unknown_handlers = PageErrors(views, (), None).handlers

    @property
    def paths(self) -> list[str]:
        """Return the paths that must be public, because the pages check the visitor themselves."""
        return list(dict.fromkeys(route.path for route in self.routes))

    def take_token(self, scope: Scope) -> None:
        """Remove the token of a link in a mail from the URL, before it can be logged."""
        if self.routes and scope["type"] == "http" and scope["path"].endswith(LINK_PATHS):
            take_token(scope)
