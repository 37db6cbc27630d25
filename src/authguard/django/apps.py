"""Let `manage.py check` check the guard and its position, if `authguard.django` is an installed app."""

from contextlib import suppress
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.views.debug import get_default_exception_reporter_filter

from authguard._logs import logger
from authguard._routes.unmatched import unmatched_patterns
from authguard.django.configuration import MIDDLEWARE, get_guard, has_middleware, order_error
from authguard.django.middleware import AuthGuardMiddleware
from authguard.django.routes import misplaced_in_project, project_routes
from authguard.errors import ConfigurationError

_UNGUARDED = f"MIDDLEWARE must have {MIDDLEWARE}, got none, so that nothing is guarded: add it"


class AuthGuardConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """Register the check. The app has no models."""

    name = "authguard.django"
    label = "authguard"
    verbose_name = "authguard"

    def ready(self) -> None:
        """Register the check when all apps are loaded.

        Servers do not run checks, so the worst fault is logged here.
        """
        checks.register(check_configuration)
        with suppress(ImportError):  # Django reports import errors when it loads the middleware
            if not has_middleware(AuthGuardMiddleware):
                logger.warning("%s", _UNGUARDED)


def check_configuration(app_configs: Any = None, **options: Any) -> list[checks.CheckMessage]:
    """Return the faults of the settings `AUTHGUARD` and `MIDDLEWARE`, and of `@requires` on views.

    Args:
        app_configs: the apps to check; ignored, because the settings are global.
        options: further options of Django.
    """
    errors: list[checks.CheckMessage] = []
    try:
        cookie = get_guard().cookie
    except ConfigurationError as error:
        errors.append(checks.Error(str(error), id="authguard.E001"))
        cookie = None
    if cookie is not None and _is_shown(cookie.name):
        text = (
            f'the name of the AccessCookie must have "token" or "auth" in it, got {cookie.name!r}, whose '
            'value Django would show in its reports of errors: write AccessCookie("access_token")'
        )
        errors.append(checks.Warning(text, id="authguard.W004"))
    wrong_order = order_error(AuthGuardMiddleware)
    if wrong_order is not None:
        errors.append(checks.Error(str(wrong_order), id="authguard.E002"))
    if not has_middleware(AuthGuardMiddleware):
        errors.append(checks.Error(_UNGUARDED, id="authguard.E003"))
    if text := _unmatched():
        errors.append(checks.Warning(text, id="authguard.W005"))
    errors += [checks.Error(text, id="authguard.E006") for text in _misplaced()]
    return errors


def _misplaced() -> list[str]:
    try:
        return misplaced_in_project()
    except Exception:  # noqa: BLE001 (Django reports the faults of a URLconf itself)
        return []


def _unmatched() -> str:
    try:
        return unmatched_patterns(project_routes(), get_guard())
    except Exception:  # noqa: BLE001 (Django reports the faults of a URLconf itself, and E001 those of the guard)
        return ""


def _is_shown(name: str) -> bool:
    """Return whether Django would show the value of a cookie in its error reports."""
    shown: str = get_default_exception_reporter_filter().cleanse_setting(name, name)
    return shown == name
