"""Treat the sender of each request as a certain user."""

from typing import Any

from authguard._core.deciding.overridden import Override
from authguard._core.guard import Guard
from authguard._core.model import Principal
from authguard._core.options import check_object, named_options


@named_options
def override(
    guard: Guard, user: Any, *, principal: Principal | None = None, everywhere: bool = True
) -> Override:
    """Treat the sender of each request through the guard as this user, inside this context.

    As a decorator, it does so while a test runs, `async` or not: `@override(guard, user)`. The result can be
    used several times.

    Path rules, scopes and roles still apply, to the principal. It works for middleware,
    decorators, dependencies and websockets alike.

    Threads and tasks that enter their own contexts do not see each other's, so tests may run in parallel. In
    one thread or task, the last context entered applies. Threads that have entered none, such as those of a
    server, use the last one entered in any thread.

    Args:
        guard: the guard of the application.
        user: a `Principal`, `ANONYMOUS`, or the application's own user; None, together with a principal, for
            a user that no longer exists.
        principal: the principal for the guard, if the user is not a principal.
        everywhere: whether it also applies in threads without an override. With False, it applies only in
            the thread or task that enters it, and in those that it starts: for parallel tests, some of which
            have no override.

    Raises:
        ConfigurationError: if the guard or the principal is another object, the user is a class, or None
            without a principal, or the function to decorate is a class or a generator.
    """
    check_object(guard, "guard", Guard, "override(guard, user)", or_none=False)
    check_object(principal, "principal", Principal, 'principal=Principal("ann")')
    return guard.override(user, principal=principal, everywhere=everywhere)
