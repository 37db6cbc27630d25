"""Guard Django: one middleware for WSGI and ASGI, `requires` on views, and the caller on the request."""

from typing import TYPE_CHECKING

from authguard._extras import elsewhere, needs_extra

with needs_extra("django"):
    import django as _django  # noqa: F401  # the parts below import it where they use it

from authguard.django.configuration import get_guard
from authguard.django.decorators import requires
from authguard.django.handled import current_principal
from authguard.django.middleware import AuthGuardMiddleware
from authguard.django.responses import RefusedHTTPException
from authguard.django.rest import GuardAuthentication
from authguard.django.users import PrincipalUser

__all__ = [
    "AuthGuardMiddleware",
    "GuardAuthentication",
    "PrincipalUser",
    "RefusedHTTPException",
    "current_principal",
    "get_guard",
    "requires",
]

if not TYPE_CHECKING:
    __getattr__ = elsewhere(__name__)
