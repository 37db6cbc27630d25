"""Answer preflights of Flask applications with the functions around its views, without the views."""

from collections.abc import Callable, Iterable
from types import CellType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from authguard._preflight.layers import is_a
from authguard._preflight.sealed import SEARCH, Search

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_ONLY_OPTIONS = {"OPTIONS"}


def flask_of(app: Any) -> Any:
    """Return the Flask application of a method `wsgi_app`; None for another object."""
    is_method = isinstance(app, MethodType) and app.__name__ == "wsgi_app"
    return app.__self__ if is_method and is_a(app.__self__, "flask.app", "Flask") else None


def wsgi(app: Any) -> "WSGIApplication":
    """Return a WSGI application that runs the before_request and after_request functions, but no view.

    A view that is registered only for OPTIONS is run, because its purpose is to answer preflights.

    Args:
        app: the Flask application.
    """

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with app.request_context(environ) as context:
            search = environ.get(SEARCH) or Search()
            search.has_cors_layer = search.has_cors_layer or _has_flask_cors(app)
            try:
                response = app.finalize_request(_result(app, context.request, search))
            except Exception as error:  # noqa: BLE001 (as in Flask.wsgi_app)
                response = app.handle_exception(error)
            result: Iterable[bytes] = response(environ, start_response)
            return result

    return answer


def as_cross_origin(app: Any, request: Any, response: Any) -> Any:
    """Return the response that Flask-CORS's `@cross_origin` around the request's view would return.

    Args:
        app: the Flask application.
        request: the request, whose view is not run.
        response: the answer in place of the view's.
    """
    view = app.view_functions.get(request.endpoint)
    decorated = _cross_origin(view, lambda *_, **__: response)
    if decorated is None or request.method == "OPTIONS":
        return response
    return app.ensure_sync(decorated)(**(request.view_args or {}))


def _result(app: Any, request: Any, search: Search) -> Any:
    """Return the value that Flask.full_dispatch_request would make into a response."""
    try:
        result = app.preprocess_request()
        if result is not None:
            return result
        view = _view(app, request, search)
        if view is None:
            return app.make_default_options_response()
        return app.ensure_sync(view)(**request.view_args)
    except Exception as error:  # noqa: BLE001 (as in Flask.full_dispatch_request)
        return app.handle_user_exception(error)


def _view(app: Any, request: Any, search: Search) -> Callable[..., Any] | None:
    """Return the view that may run for a preflight, if the path has one."""
    rule = request.url_rule
    if rule is None or getattr(rule, "provide_automatic_options", False):
        return None
    view = app.view_functions.get(rule.endpoint)
    cross_origin = _cross_origin(view, lambda *_, **__: app.make_default_options_response())
    if cross_origin is not None:
        search.has_cors_layer = True
        return cross_origin
    return view if _is_for_options_alone(app, rule, view) else None


def _is_for_options_alone(app: Any, rule: Any, view: Any) -> bool:
    """Return whether a view receives only OPTIONS requests."""
    if rule.methods == _ONLY_OPTIONS:
        views, rules = app.view_functions, app.url_map.iter_rules()
        return all(other.methods == _ONLY_OPTIONS for other in rules if views.get(other.endpoint) is view)
    cls = getattr(view, "view_class", None)
    return isinstance(cls, type) and _has_options_method(cls)


def _has_options_method(cls: Any) -> bool:
    """Return whether a class of views has its own method for OPTIONS."""
    plain = next((base for base in cls.__mro__ if base.__module__ == "flask.views"), None)
    options = getattr(cls, "options", None)
    if options is None or plain is None or plain.__name__ != "MethodView":
        return False
    names = [str(name).lower() for name in cls.methods or () if name != "OPTIONS"]
    is_shared = any(getattr(cls, name, None) is options for name in names)
    return cls.dispatch_request is plain.dispatch_request and not is_shared


def _cross_origin(view: Any, replacement: Any) -> Callable[..., Any] | None:
    """Return the wrapper of Flask-CORS's `@cross_origin` around another function."""
    for _ in range(100):  # decorators around a view
        inner = getattr(view, "__wrapped__", None)
        if inner is None or not isinstance(view, FunctionType):
            return None
        if str(view.__globals__.get("__name__", "")).partition(".")[0] == "flask_cors":
            return _replaced(view, inner, replacement)
        view = inner
    return None


def _replaced(function: FunctionType, inner: Any, replacement: Any) -> Callable[..., Any] | None:
    """Copy a decorated function, and replace the function that it decorates."""
    cells = function.__closure__ or ()
    changed = tuple(CellType(replacement) if cell.cell_contents is inner else cell for cell in cells)
    if changed == cells:
        return None
    made = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, changed
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _has_flask_cors(app: Any) -> bool:
    functions = [function for several in app.after_request_funcs.values() for function in several]
    modules = [getattr(function, "__globals__", {}).get("__name__", "") for function in functions]
    return any(str(module).partition(".")[0] == "flask_cors" for module in modules)
