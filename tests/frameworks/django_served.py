"""Configure a Django project for a process of its own, such as a server."""

from collections.abc import Callable
from typing import Any

from authguard import Guard


def django_asgi(guard: Guard, clock: Callable[[], float]) -> Any:
    """Return the handler of a project on ASGI."""
    return _served("asgi", guard, clock)


def django_wsgi(guard: Guard, clock: Callable[[], float]) -> Any:
    """Return the handler of a project on WSGI."""
    return _served("wsgi", guard, clock)


def _served(kind: str, guard: Guard, clock: Callable[[], float]) -> Any:
    from django.test.utils import override_settings

    from frameworks.django_project import GUARD, Project

    # Other middleware of Django adds fields to answers, such as the length of an empty body.
    project = Project(kind, guard, MIDDLEWARE=[GUARD], CLOCK=clock)
    override_settings(**project.settings).enable()
    return project.handler
