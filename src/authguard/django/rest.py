"""Give the caller found by the guard to Django REST framework."""

from typing import Any

from authguard.django.handled import handled_by_guard


class GuardAuthentication:
    """Authenticate requests of Django REST framework by the guard, in `DEFAULT_AUTHENTICATION_CLASSES`.

    `request.user` and `request.auth` are those of the guard. For an anonymous caller, the next class is
    tried.
    """

    def authenticate(self, request: Any) -> tuple[Any, Any] | None:
        """Return the user and the `Auth` of the caller; None for an anonymous one."""
        handled = handled_by_guard(request)
        auth = handled.decision.auth
        return (handled.user, auth) if auth.principal.is_authenticated else None

    def authenticate_header(self, request: Any) -> str:
        """Return the challenge for the framework's own refusals, which would otherwise be 403."""
        return "Bearer"
