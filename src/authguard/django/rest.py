"""Give Django REST framework the caller that the guard has found."""

from typing import Any

from authguard.django.handled import handled_by_guard


class GuardAuthentication:
    """Authenticate requests of Django REST framework by the guard: one of `DEFAULT_AUTHENTICATION_CLASSES`.

    `request.user` and `request.auth` are those of the guard. For an anonymous caller, the next class is
    asked.
    """

    def authenticate(self, request: Any) -> tuple[Any, Any] | None:
        """Return the user and the `Auth` of the caller; None for an anonymous one."""
        handled = handled_by_guard(request)
        auth = handled.decision.auth
        return (handled.user, auth) if auth.principal.is_authenticated else None

    def authenticate_header(self, request: Any) -> str:
        """Return the challenge of the framework's own refusals, which are 403 without one."""
        return "Bearer"
