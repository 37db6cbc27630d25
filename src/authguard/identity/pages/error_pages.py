"""Answer refusals with pages: on the paths of pages, and of sign-in if a browser navigates."""

from collections.abc import Collection
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from authguard._core.answer.negotiation import reads_pages
from authguard._core.answer.redirect import navigates
from authguard.asgi import handled_by_guard
from authguard.errors import RefusedError, UnexpectedError
from authguard.identity.errors import MethodNotAllowedError, NotFoundError
from authguard.identity.pages.views import Views
from authguard.identity.web.refusals import (
    HANDLERS,
    fields_of,
    handle_http_exception,
    handle_refusal,
    handle_unexpected_error,
)


class PageErrors:
    """Answer errors with pages, on the paths of pages; the API's answers stay unchanged.

    Args:
        views: builds the responses.
        pages: the paths of the pages.
        browser_paths: paths of the API that browsers request as well; None for all paths.
    """

    def __init__(self, views: Views, pages: Collection[str], browser_paths: Collection[str] | None) -> None:
        self._views = views
        self._pages = frozenset(pages)
        self._browser_paths = None if browser_paths is None else frozenset(browser_paths)

    @property
    def handlers(self) -> Any:
        """Return the handlers for Starlette's `exception_handlers`."""
        return HANDLERS | {
            RefusedError: self.handle_refusal,
            HTTPException: self.handle_http_exception,
            Exception: self.handle_unexpected_error,
        }

    async def handle_refusal(self, request: Request, error: Exception) -> Response:
        """Answer a refusal."""
        if isinstance(error, RefusedError) and self._is_page(request):
            return self._views.refusal(request, error)
        return await handle_refusal(request, error)

    async def handle_http_exception(self, request: Request, error: Exception) -> Response:
        """Answer a request whose path or method the router does not have."""
        # Neither a page nor an endpoint of the API has the path, so the client's fields determine the format.
        is_page = self._is_page(request) or reads_pages(handled_by_guard(request.scope).request)
        if not isinstance(error, HTTPException) or not is_page:
            return await handle_http_exception(request, error)
        refusal = MethodNotAllowedError() if error.status_code == 405 else NotFoundError()
        response = self._views.refusal(request, refusal)
        response.headers.update(fields_of(request, error))
        return response

    async def handle_unexpected_error(self, request: Request, error: Exception) -> Response:
        """Answer an unexpected error; the server logs it."""
        if self._is_page(request):
            return self._views.refusal(request, UnexpectedError())
        return await handle_unexpected_error(request, error)

    def _is_page(self, request: Request) -> bool:
        view = handled_by_guard(request.scope).request
        if view.path in self._pages:
            return True
        return (self._browser_paths is None or view.path in self._browser_paths) and navigates(view)
