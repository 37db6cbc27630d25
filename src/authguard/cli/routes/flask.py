"""List the routes of Flask applications, and of applications mounted by Werkzeug."""

import re
from collections.abc import Iterator
from typing import Any

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import AnyConverter, Rule

from authguard._core.request import WEBSOCKET
from authguard._endpoint import required_by
from authguard._routes.paths import Parameter, Template, template
from authguard.cli.routes.model import Inner, Route, RoutePlace, Step, listed_methods

_PARAMETER = re.compile(r"<(?:([A-Za-z_]\w*)(?:\((.*?)\))?:)?[A-Za-z_]\w*>")


def flask_steps(app: Any, place: RoutePlace) -> Iterator[Step] | None:
    """Return the routes and mounts of a Flask application; None for another application."""
    if isinstance(app, Flask):
        return iter([Inner(app.wsgi_app, place)])  # usually wrapped
    owner = getattr(app, "__self__", None)
    if isinstance(owner, Flask) and getattr(app, "__name__", "") == "wsgi_app":
        return _url_map(owner, place)
    if isinstance(app, DispatcherMiddleware):
        return _mounts(app, place)
    return None


def _mounts(app: DispatcherMiddleware, place: RoutePlace) -> Iterator[Inner]:
    for path, mounted in app.mounts.items():
        yield Inner(mounted, place.below(path, template([path])))
    yield Inner(app.app, place)


def _url_map(app: Flask, place: RoutePlace) -> Iterator[Route]:
    for rule in app.url_map.iter_rules():
        if rule.build_only:
            continue
        view: Any = app.view_functions.get(rule.endpoint)
        view_class = getattr(view, "view_class", None)
        rule_place = place.on(rule.host or rule.subdomain or place.host)
        for methods in _methods(rule, separately=view_class is not None):
            of_method = getattr(view_class, methods[0].lower(), None) if methods else None
            requirements = (*required_by(view), *required_by(of_method))
            yield rule_place.route(rule.rule, _template(app, rule), methods, requirements)


def _methods(rule: Rule, *, separately: bool) -> list[tuple[str, ...]]:
    """Return the methods of a rule; for a class of views one by one, as their requirements may differ."""
    if rule.websocket:
        return [(WEBSOCKET,)]
    methods = listed_methods(set(rule.methods or ()))
    return [(method,) for method in methods] if separately else [methods]


def _template(app: Flask, rule: Rule) -> Template:
    pieces: list[str | Parameter] = []
    end = 0
    for match in _PARAMETER.finditer(rule.rule):
        converter = app.url_map.converters[match[1] or "default"]
        choices: tuple[str, ...] = ()
        if issubclass(converter, AnyConverter):
            choices = tuple(choice.strip(" '\"") for choice in (match[2] or "").split(","))
        regex = "|".join(map(re.escape, choices)) or converter.regex
        pieces += [rule.rule[end : match.start()], Parameter(regex, choices)]
        end = match.end()
    return template([*pieces, rule.rule[end:]])
