"""Answer refusals like Flask's own errors: through handlers, after_request functions and CORS."""

import functools
import itertools
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, request, request_finished
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException, default_exceptions

from authguard._core.answer.refusal import Refusal
from authguard._logs import logger
from authguard._preflight.flask_views import as_cross_origin
from authguard._wsgi.request import HANDLED, handled_by_guard
from authguard.errors import RefusedError
from authguard.wsgi import refusal_of_raised

# Fields of a refusal that describe its body or redirect; a response of the application has its own.
_OF_THE_BODY = frozenset(("content-type", "content-length", "location", "hx-redirect", "set-cookie"))
# parts of names that are not spelled by a capital letter and small ones
_SPELLED = {"dpop": "DPoP", "hx": "HX", "ratelimit": "RateLimit", "www": "WWW"}
# names of functions that have raised: one log line for each, so the size is bounded
_failed: set[str] = set()


class RefusedHTTPException(HTTPException):
    """Report a refusal to Flask's error handlers, by its class or by its status.

    Without a handler, the guard's answer is sent. A handler for Exception is not called, and only a handler
    of this class receives a redirect to the login page.

    Args:
        refusal: the answer of the guard.
    """

    # Attributes of Werkzeug's exceptions, for handlers that use them.
    original_exception: BaseException | None = None
    retry_after: Any = None
    valid_methods: Any = None
    www_authenticate: Any = None

    def __init__(self, refusal: Refusal) -> None:
        detail = None if refusal.error is None else refusal.error.detail
        HTTPException.__init__(self, detail, as_response(refusal))
        self.refusal = refusal

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        """Return the fields of the guard's answer, with the challenge, spelled like those of Werkzeug."""
        return _fields(self.refusal)

    def get_body(self, environ: Any = None, scope: Any = None) -> str:
        """Return the body of the guard's answer."""
        return self.refusal.body.decode()


@functools.cache
def _class_for(status: int) -> type[RefusedHTTPException]:
    # Flask finds handlers by class, so each status needs one: for 401, a RefusedHTTPException that is also an
    # Unauthorized.
    bases = (RefusedHTTPException, default_exceptions.get(status, HTTPException))
    return type(RefusedHTTPException.__name__, bases, {"code": status})


def as_response(refusal: Refusal) -> Response:
    """Return a refusal as a Flask response."""
    return Response(refusal.body, refusal.status, _fields(refusal))


def _fields(refusal: Refusal) -> list[tuple[str, str]]:
    """Return the fields of a refusal as Werkzeug spells them; handlers read `Content-Type` of a dict."""
    return [(_spelled(name), value) for name, value in refusal.headers]


@functools.lru_cache(maxsize=256)  # names that refusals usually have
def _spelled(name: str) -> str:
    return "-".join(_SPELLED.get(part, part.capitalize()) for part in name.split("-"))


def refused(app: Flask, refusal: Refusal) -> RefusedHTTPException:
    """Return the exception to raise, and keep Flask from calling handlers for other exceptions.

    Args:
        app: the application that handles it.
        refusal: the answer of the guard.
    """
    # Flask would also call a handler for Exception, which would answer with 500 and the page for internal
    # errors. The handler is added to each blueprint, because handlers of blueprints are called first.
    for handlers in list(app.error_handler_spec.values()):
        handlers[None].setdefault(RefusedHTTPException, _handle)
    app.error_handler_spec[None][None].setdefault(RefusedHTTPException, _handle)
    error = _class_for(refusal.status)(refusal)
    error.response = as_cross_origin(app, request, error.response)
    return error


def _handle(error: RefusedHTTPException) -> Any:
    """Answer with the application's handler for an HTTPException, or else with the guard's answer."""
    if error.refusal.error is not None:  # a redirect is not an error
        for handler in _handlers(type(error)):
            return handler(error)
    return error.response


def _handled(app: Flask, error: RefusedHTTPException) -> Any:
    """Return the answer of the application's handlers, or the guard's if one of them refuses the caller."""
    try:
        return app.handle_user_exception(error)
    except RefusedHTTPException as refused_again:
        return refused_again.response


def answer_refused_handler(app: Flask, error: RefusedHTTPException) -> Response:
    """Return the response to a refusal that an error handler has raised, such as one with `@requires`.

    Args:
        app: the application.
        error: the refusal.
    """
    return app.finalize_request(_handled(app, error))


def answer_raised(error: RefusedError) -> Any:
    """Answer a refusal that a view has raised, such as one of `Guard.verify`; a handler of Flask."""
    if HANDLED not in request.environ or error.status_code == 500:
        raise error
    denied = refusal_of_raised(handled_by_guard(request.environ), error)
    app: Any = request_ctx.app
    return app.handle_user_exception(refused(app, denied.refusal))


def _handlers(kind: type[Exception]) -> Iterator[Any]:
    app: Any = request_ctx.app
    for scope in (*request.blueprints, None):
        handlers = app.error_handler_spec[scope][None]
        for base in kind.__mro__:
            if base in handlers and issubclass(base, HTTPException) and base is not RefusedHTTPException:
                yield app.ensure_sync(handlers[base])


def answer(app: Flask, refusal: Refusal) -> Any:
    """Return the response to a refused request, in the context of that request.

    Regardless of the result of a handler, the response is not a success, and has the challenge and the fields
    for caches.

    Args:
        app: the application.
        refusal: the answer of the guard.
    """
    try:
        response = app.make_response(_handled(app, refused(app, refusal)))
        response = _refused(as_cross_origin(app, request, response), refusal)
        response = _refused(_processed(app, response), refusal)
        request_finished.send(app, _async_wrapper=app.ensure_sync, response=response)
    except Exception as raised:  # noqa: BLE001 (an error in a handler must not admit the request)
        return app.handle_exception(raised)
    return response


def _refused(response: Response, refusal: Refusal) -> Response:
    """Add the fields of a refusal to a response of the application."""
    if response.status_code < 300:
        # A response to a redirect is the login page itself.
        response.status_code = 401 if refusal.error is None else refusal.status
    for name, value in _fields(refusal):
        if name.lower() not in _OF_THE_BODY and name not in response.headers:
            response.headers.add(name, value)
    return response


def _processed(app: Flask, response: Response) -> Response:
    """Run the after_request functions like `Flask.process_response`, but independently of each other.

    No before_request function has run; a function that depends on one must not prevent others, such as CORS.
    """
    # Flask has no other names for them; in Flask 3.1.0 the session has no public name.
    context = vars(request_ctx)
    session = context["_session"] if "_session" in context else context["session"]
    scopes = (app.after_request_funcs.get(scope, ()) for scope in (*request.blueprints, None))
    later = (reversed(list(functions)) for functions in scopes)
    for function in itertools.chain(context["_after_request_functions"], *later):
        try:
            response = app.ensure_sync(function)(response)
        except Exception:  # noqa: BLE001 (the request is refused in any case)
            _log_failed(function)
    if not app.session_interface.is_null_session(session):
        app.session_interface.save_session(app, session, response)
    return response


def _log_failed(function: Any) -> None:
    name = (
        f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__name__)}"
    )
    if name not in _failed:
        _failed.add(name)
        logger.warning(
            "the after_request function %s raised for a request that was refused: no before_request function "
            "has run for it",
            name,
            exc_info=True,
        )
