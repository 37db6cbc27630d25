"""Require scopes, roles or a recent sign-in from the callers of views."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.views import View

from authguard._core.answer.decision import Decision, Deny
from authguard._core.flow import Flow
from authguard._core.options import named_options
from authguard._core.policy.names import LEFT_OUT
from authguard._core.policy.rules import Requirement
from authguard._endpoint import decorator_of, requirement_of
from authguard._logs import log_refusal
from authguard.django.handled import Handled, find_request, handled_by_guard
from authguard.django.responses import RefusedHTTPException, keep_private
from authguard.drivers import asynchronous, run_anywhere
from authguard.errors import ConfigurationError

_INSTEAD = (
    "decorate the views with it, and classes of views by @method_decorator(requires(…), name='dispatch'); "
    "for all paths below one, write a Rule in protected_paths"
)

ViewT = TypeVar("ViewT", bound=Callable[..., Any])


@named_options
def requires(
    *scopes: str,
    any_of: Iterable[str] = LEFT_OUT,
    roles: Iterable[str] = LEFT_OUT,
    acr: str | Iterable[str] | None = None,
    max_age: float | timedelta | None = None,
) -> Callable[[ViewT], ViewT]:
    """Require scopes, roles or a recent sign-in of the caller; with no arguments, any authenticated caller.

    It decorates views and helpers that take a request: functions and methods, `async` or not, classes of
    views, and the result of `as_view()`. `method_decorator(requires(…), name="dispatch")` works, too. Name
    and signature are kept.

    If the caller does not meet the requirement, a RefusedHTTPException is raised, which the middleware
    answers.

    Args:
        scopes: all of these scopes.
        any_of: at least one of these scopes.
        roles: at least one of these roles.
        acr: how the caller must have signed in: one of these values of the claim `acr`.
        max_age: seconds, or a timedelta, since the caller signed in, at most, by the claim `auth_time`.

    Raises:
        ConfigurationError: if a class cannot be guarded, or a name can never match.
    """
    requirement = requirement_of(scopes, any_of, roles, acr, max_age)

    def guard_function(view: Any) -> Any:
        return _guarded_function(view, requirement)

    def guard_class(view: Any) -> Any:
        return _guarded_class(view, guard_function)

    return decorator_of(requirement, guard_function, guard_class, "a class of views", instead=_INSTEAD)


def _guarded_function(view: Any, requirement: Requirement) -> Any:
    if iscoroutinefunction(view):

        @functools.wraps(view)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            handled = handled_by_guard(find_request(args, kwargs))
            flow = _authorization(handled, requirement)
            if flow is not None:
                _check(handled, await asynchronous.run(flow))
            return keep_private(await view(*args, **kwargs), handled.decision)

        return guarded

    @functools.wraps(view)
    def guarded_now(*args: Any, **kwargs: Any) -> Any:
        handled = handled_by_guard(find_request(args, kwargs))
        flow = _authorization(handled, requirement)
        if flow is not None:
            _check(handled, run_anywhere(flow))
        result = view(*args, **kwargs)
        # `dispatch` of a class with `async` views is a plain function.
        if inspect.isawaitable(result):
            return _awaited(result, handled.decision)
        return keep_private(result, handled.decision)

    return guarded_now


async def _awaited(result: Awaitable[Any], decision: Decision) -> Any:
    return keep_private(await result, decision)


def _authorization(handled: Handled, requirement: Requirement) -> Flow[Deny | None] | None:
    decision = handled.decision
    charge = decision.charge
    if requirement.is_met_by(decision.auth.principal, handled.at) and (
        charge is None or charge.taken is not None
    ):
        return None
    return handled.guard.authorize(
        handled.view,
        decision.auth,
        decision.error,
        requirement,
        handled.at,
        charge=charge,
        terms=decision.terms,
    )


def _check(handled: Handled, denied: Deny | None) -> None:
    if denied is not None:
        log_refusal(handled.view, denied)
        raise RefusedHTTPException(denied.refusal)


def _guarded_class(view_class: Any, guard_function: Callable[[Any], Any]) -> Any:
    """Return a class whose views, and those of its subclasses, check the caller first."""
    if not issubclass(view_class, View):
        raise ConfigurationError(
            "@requires() must decorate a function or a class of django.views.View, got the class "
            f"{view_class.__qualname__}: decorate its methods"
        )

    class Guarded(view_class):  # type: ignore[misc]  # pyright: ignore
        @classmethod
        def as_view(cls, *args: Any, **kwargs: Any) -> Callable[..., Any]:  # pyright: ignore
            guarded: Callable[[HttpRequest], Any] = guard_function(super().as_view(*args, **kwargs))
            return guarded

    return functools.update_wrapper(Guarded, view_class, updated=())
