"""Guard a Django project: the middleware for its settings, for WSGI and ASGI, `async` or not."""

import io
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from authguard._core.answer.decision import Allow, Decision, Deny
from authguard._core.deciding.outcomes import follow
from authguard._core.flow import Flow
from authguard._core.policy.rules import Preflight
from authguard._core.request import RequestView
from authguard._logs import log_raised, log_refusal, redact_keys_of
from authguard._preflight.sealed import Seal, Search
from authguard._wsgi.processes import UnsharedState
from authguard.django import endpoints
from authguard.django.configuration import get_guard, has_cors_layer, order_error
from authguard.django.handled import handled_by_guard, leave
from authguard.django.requests import check_method, path_error, view_of
from authguard.django.responses import RefusedHTTPException, add_fields, as_response, sealed
from authguard.drivers import asynchronous, blocking, run_anywhere
from authguard.drivers.threads import in_sensitive_thread
from authguard.errors import ConfigurationError, RefusedError


class AuthGuardMiddleware:
    """Guard everything that comes after it in `MIDDLEWARE`, with the guard of the setting `AUTHGUARD`.

    The caller is `request.user`: the principal, with the attributes that Django expects of a user, or the
    result of `user_loader`. Its scopes are in `request.auth`.

    Args:
        get_response: the next handler, given by Django; or a view, in tests with a RequestFactory.

    Raises:
        ConfigurationError: if the setting is not a guard, or other middleware is at a position where it would
            undo the guard's work.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        if isinstance(get_response, BaseHandler):
            raise ConfigurationError(
                "authguard.django.AuthGuardMiddleware must stand in the setting MIDDLEWARE, got a whole "
                "application: add it to MIDDLEWARE, and write application = get_wsgi_application()"
            )
        error = order_error(AuthGuardMiddleware)
        if error is not None:
            raise error
        self.guard = get_guard()
        redact_keys_of(self.guard)
        self.get_response = get_response
        self._unshared_state = UnsharedState(self.guard)
        self._seal = Seal()
        self._has_cors_layer = has_cors_layer()
        self._is_async = iscoroutinefunction(get_response)
        #: Django calls this when it has found the view; a plain function would need a thread under ASGI.
        self.process_view = self._aprocess_view if self._is_async else self._process_view
        if self._is_async:
            markcoroutinefunction(self)

    @staticmethod
    def clock() -> float:
        """Return the seconds since the epoch; a subclass may use another clock."""
        return time.time()

    def __call__(self, request: HttpRequest) -> Any:
        """Handle one request: return a response, or the coroutine of one."""
        if self._is_async:
            return self._acall(request)
        if self._unshared_state:
            # The test client of Django reports several processes.
            is_test_client = request.META.get("SERVER_NAME") == "testserver"
            self._unshared_state.warn_once({} if is_test_client else request.META)
        view, now = view_of(request, self.guard), self.clock()
        decision: Decision
        if self._has_flow(view):
            decision = blocking.run(self.guard.decide(view, now))
        else:
            decision = blocking.decide(self.guard, _view, view, view.presented, view.request_key, now)
        response = self._answer(request, view, decision, now)
        if response is not None:
            return response
        try:
            response = self._next(view)(request)
        except RefusedHTTPException as refused:
            response = as_response(refused.refusal, view.method)
        if (giving_back := self._giving_back(decision, response)) is not None:
            blocking.run(giving_back)
        return self._finished(view, decision, response)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        """Handle one request under ASGI, in the same steps."""
        view, now = view_of(request, self.guard), self.clock()
        decision: Decision
        with in_sensitive_thread():
            if self._has_flow(view):
                decision = await asynchronous.run(self.guard.decide(view, now))
            else:
                decision = await asynchronous.decide(
                    self.guard, _view, view, view.presented, view.request_key, now
                )
        response = self._answer(request, view, decision, now)
        if response is not None:
            return response
        try:
            response = await self._next(view)(request)
        except RefusedHTTPException as refused:
            response = as_response(refused.refusal, view.method)
        if (giving_back := self._giving_back(decision, response)) is not None:
            await asynchronous.run(giving_back)
        return self._finished(view, decision, response)

    def _has_flow(self, view: RequestView) -> bool:
        """Return whether the flow must decide, because an outer guard has taken from quotas."""
        return view.outer is not None and self.guard.quotas is not None

    def _answer(
        self, request: HttpRequest, view: RequestView, decision: Decision, now: float
    ) -> HttpResponseBase | None:
        """Store the caller on the request.

        Return the guard's own answer, if the request must not reach the view.
        """
        follow(view.outer, decision)
        leave(request, self.guard, view, decision, now)
        if isinstance(decision, Deny):
            log_refusal(view, decision)
            return as_response(decision.refusal, view.method)
        if decision.preflight == "answer":
            return self._sealed("answer", view)
        if decision.preflight == "pass":
            request._stream = io.BytesIO()  # noqa: SLF001 (a preflight carries no body in)
            request.META["CONTENT_LENGTH"] = "0"
        page = self.guard.metadata_page
        answer = None if page is None else page.answer(view.method, view.path)
        return None if answer is None else as_response(answer, view.method)

    def _next(self, view: RequestView) -> Callable[[HttpRequest], Any]:
        """Return the function that answers an allowed request."""
        endpoint = self.guard.endpoint
        if endpoint is None or view.path != endpoint.path:
            return self.get_response
        return partial(endpoints.aanswer if self._is_async else endpoints.answer, endpoint)

    def _giving_back(self, decision: Decision, response: HttpResponseBase) -> Flow[None] | None:
        """Return the flow that gives back the charge of a request if `requires` has refused it."""
        charge, quotas = decision.charge, self.guard.quotas
        if charge is None or quotas is None or not charge.is_refused or response.status_code < 300:
            return None
        return quotas.give_back(charge)

    def _finished(
        self, view: RequestView, decision: Decision, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Return the application's response with the decision's fields; to a preflight, the sealed answer."""
        if isinstance(decision, Allow) and decision.preflight is not None:
            return self._sealed("pass", view, response)
        add_fields(response, decision)
        return response

    def _sealed(
        self, mode: Preflight, view: RequestView, passed_on: HttpResponseBase | None = None
    ) -> HttpResponse:
        search = Search()
        # the CORS middleware is outside the guard, and adds its fields itself
        search.has_cors_layer = self._has_cors_layer
        status, fields = (204, []) if passed_on is None else (passed_on.status_code, list(passed_on.items()))
        status, kept = self._seal.fields(view, mode, search, status, fields)
        return sealed(status, kept, passed_on)

    def _process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """Check that Django found the view by the path and method that the guard used."""
        handled = handled_by_guard(request)
        if request.path_info != handled.path_info:
            raise path_error(handled.view.path, request.path_info)
        check_method(request, handled.view, handled.guard)

    async def _aprocess_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        self._process_view(request, view, args, kwargs)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the answer to a refusal, raised by `requires` or `Guard.verify`; None for other errors."""
        if isinstance(exception, RefusedHTTPException):
            return as_response(exception.refusal, handled_by_guard(request).view.method)
        if not isinstance(exception, RefusedError) or exception.status_code == 500:
            return None  # Django logs a bug like any other error
        handled = handled_by_guard(request)
        auth = handled.decision.auth
        denied = run_anywhere(self.guard.refuse(handled.view, exception, auth, handled.at))
        log_raised(handled.view, denied)
        return as_response(denied.refusal, handled.view.method)


def _view(view: RequestView, *_: Any) -> RequestView:
    """Return the request that was read before."""
    return view
