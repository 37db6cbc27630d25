"""A Django project for real servers: `wsgi_app` and `asgi_app`, with the settings of this module."""

import os

import django
from django.http import HttpRequest, HttpResponse
from django.urls import path

from authguard import Guard, JWTVerifier

SECRET_KEY = "served-0nly-Secret-of-enough-bytes-9Vb"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = __name__
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "authguard.django.AuthGuardMiddleware"]
INSTALLED_APPS = ["authguard.django"]
AUTHGUARD = Guard(
    JWTVerifier(SECRET_KEY, algorithms=["HS256"], issuer=None, audience=None),
    public_paths=["/open"],
    login_path="/login",
)

os.environ["DJANGO_SETTINGS_MODULE"] = __name__
django.setup()

from authguard.django import requires  # noqa: E402  # an application imports views when Django is set up


def page(request: HttpRequest) -> HttpResponse:
    """Say who is calling."""
    return HttpResponse(request.user.subject)


@requires("admin")
async def admin(request: HttpRequest) -> HttpResponse:
    """Say it to some."""
    return HttpResponse(request.user.subject)


urlpatterns = [path("open", page), path("private", page), path("admin", admin)]

from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402

wsgi_app = get_wsgi_application()
asgi_app = get_asgi_application()
