"""Turn the guard's answers into responses of Django, and add a decision's fields to the application's."""

from http.client import responses
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from authguard._asgi.refusal import RaisedRefusal
from authguard._core.answer.decision import Decision
from authguard._core.answer.refusal import Refusal
from authguard._core.answer.response_fields import ResponseFields, merged

_CACHE_CONTROL = "cache-control"
_BY_AUTHORIZATION = frozenset({"bearer", "dpop"})


class RefusedHTTPException(RaisedRefusal):
    """Report that the caller does not meet a requirement of a view.

    The middleware answers it. Your own middleware may do so first, in `process_exception`.

    Args:
        refusal: the answer of the guard.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.error.detail if refusal.error else "")
        self.refusal = refusal
        self.status_code = refusal.status


def as_response(refusal: Refusal, method: str) -> HttpResponse:
    """Return a refusal as a response of Django.

    Args:
        refusal: the answer of the guard.
        method: the method of the request; the answer to HEAD has no body.
    """
    response: Any = _bare(refusal.status, b"" if method == "HEAD" else refusal.body)
    for name, value in refusal.fields():
        if name == "set-cookie":  # test clients read `cookies`
            response.cookies.load(value)
        else:
            _add(response, name, value)
    # The guard logs its own lines; Django would mail each 503 with the cookies of its request.
    response._has_been_logged = True  # noqa: SLF001 (as Django itself marks it)
    made: HttpResponse = response
    return made


def sealed(status: int, fields: list[tuple[str, str]], passed_on: HttpResponseBase | None) -> HttpResponse:
    """Return the answer to a preflight, with these fields only.

    Args:
        status: the status of the answer.
        fields: the fields that may be sent.
        passed_on: the response of the application, if it was called; it is closed with this one.
    """
    response = _bare(status, b"")
    for name, value in fields:
        _add(response, name, value)
    if passed_on is not None:
        # Its own `close` would signal the end of the request to Django a second time.
        response._resource_closers.extend(passed_on._resource_closers)  # noqa: SLF001
    return response


def add_fields(response: HttpResponseBase, decision: Decision) -> None:
    """Add the fields of the decision, in its current state, to the application's response."""
    charge = decision.charge
    fields = decision.response_fields if charge is None else charge.response_fields + charge.fields
    own = list(response.items())
    for name, value in merged(own, _as_text(fields))[len(own) :]:
        _add(response, name, _private(value) if name == _CACHE_CONTROL else value)
    if decision.auth.principal.method in _BY_AUTHORIZATION:
        # Shared caches do not store such a response (RFC 9111 section 3.5), but Django's own cache ignores
        # this rule.
        patch_vary_headers(response, ["Authorization"])


def keep_private(result: Any, decision: Decision) -> Any:
    """Return the result of a guarded view; a response without Cache-Control is made private.

    Otherwise `cache_page` around the view would store it, and return it to unchecked callers.

    Args:
        result: the result of the view.
        decision: the decision about the request, which may add directives.
    """
    if isinstance(result, HttpResponseBase) and not result.has_header("Cache-Control"):
        directives = dict(_as_text(decision.response_fields)).get(_CACHE_CONTROL, "private")
        result.headers["Cache-Control"] = _private(directives)
    return result


def _private(value: str) -> str:
    """Return the guard's Cache-Control for Django's own cache, which knows `private` but not `no-store`."""
    return value if "private" in value else f"private, {value}"


def _bare(status: int, body: bytes) -> HttpResponse:
    response = HttpResponse(body, status=status, reason=responses.get(status, "Unknown"))
    del response.headers["Content-Type"]
    return response


def _add(response: HttpResponseBase, name: str, value: str) -> None:
    """Add a field; the values of two fields with one name are joined (RFC 9110 section 5.3)."""
    if name == "vary":
        patch_vary_headers(response, [each.strip() for each in value.split(",")])
    else:
        known = response.headers.get(name)
        response.headers[name] = value if known is None else f"{known}, {value}"


def _as_text(fields: ResponseFields) -> list[tuple[str, str]]:
    return [(name.decode("ascii"), value.decode("ascii")) for name, value in fields]
