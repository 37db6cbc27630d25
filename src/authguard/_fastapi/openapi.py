"""Write the rules into the OpenAPI documents of a FastAPI application and of those that are mounted in it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from fastapi import FastAPI, routing
from starlette.routing import Mount

from authguard._core.guard import Guard
from authguard._core.policy.policy import Verdict
from authguard._core.policy.rules import Requirement
from authguard._endpoint import required_by, required_by_dependencies

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_SAFE_METHODS = ("get", "head", "options")
_MAX_LAYERS = 100  # of middleware around a mounted application

#: Requirements of routes, by path and method as they are in the document.
RequirementsByOperation = dict[tuple[str, str], tuple[Requirement, ...]]

_BEARER = "Bearer"
_PROBLEM = "AuthGuardProblem"
_PROBLEM_SCHEMA = {
    "title": _PROBLEM,
    "description": "A problem document (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "violated-policies": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The quotas that refuse, where the status is 429.",
        },
    },
}
_CHALLENGE = {"WWW-Authenticate": "The challenge (RFC 6750)."}
_LIMIT_FIELDS = {
    "Retry-After": "The seconds after which to come back.",
    "RateLimit-Policy": "The quotas, as in draft-ietf-httpapi-ratelimit-headers.",
    "RateLimit": "What remains of them.",
}


def document_rules(app: FastAPI, guard: Guard, prefix: str = "", root_path: str | None = None) -> None:
    """Mark what a guard protects in an application's document, and in those of mounted applications.

    Args:
        app: the application.
        guard: the guard around it.
        prefix: the mount point below the guard.
        root_path: the root path of the guarded application; None for this one's.
    """
    root_path = app.root_path if root_path is None else root_path
    if not _is_documented(app.openapi, guard):
        app.openapi = _Document(app, guard, prefix, root_path)  # type: ignore[method-assign]
    for path, mounted in _mounted(app.routes):
        document_rules(mounted, guard, prefix + path, root_path)


def _is_documented(openapi: Any, guard: Guard) -> bool:
    while isinstance(openapi, _Document):
        if openapi.guard is guard:
            return True
        openapi = openapi.original
    return False  # also if the application has put a function of its own in the place of ours


def _mounted(routes: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, FastAPI]]:
    """Yield the applications of FastAPI that are mounted in one, with their mount points."""
    for route in routes:
        if isinstance(route, Mount):
            app: Any = route.app
            for _ in range(_MAX_LAYERS):
                if app is None or isinstance(app, FastAPI):
                    break
                below = getattr(app, "routes", None)
                yield from _mounted(below if isinstance(below, list) else (), prefix + route.path)
                app = getattr(app, "app", None)
            if isinstance(app, FastAPI):
                yield prefix + route.path, app


class _Document:
    """Stand in the place of an application's `openapi`, and add the rules of a guard to what it returns."""

    def __init__(self, app: FastAPI, guard: Guard, prefix: str, root_path: str) -> None:
        self._app = app
        self.original = app.openapi
        self.guard = guard
        self._prefix = prefix
        self._root_path = root_path
        self._source: dict[str, Any] | None = None
        self._marked: dict[str, Any] = {}

    def __call__(self) -> dict[str, Any]:
        document_rules(self._app, self.guard, self._prefix, self._root_path)  # of later mounts
        source = self.original()
        if source is not self._source:
            # FastAPI keeps its document, and the marks go on a copy, so that they are made once.
            marked = deepcopy(source)
            self._mark(marked)
            self._source, self._marked = source, marked
        return self._marked

    def _mark(self, document: dict[str, Any]) -> None:
        components = document.setdefault("components", {})
        schemes = _schemes(self.guard)
        stated = components.setdefault("securitySchemes", {})
        if _BEARER not in schemes:
            stated.pop(_BEARER, None)  # by `current_user`, which does not know the guard
        stated.update(schemes)
        of_routes = _requirements_of_routes(self._app.routes)
        # Names of scopes beside schemes that are not of OAuth are new in OpenAPI 3.1.
        has_names = not str(document.get("openapi", "")).startswith("3.0")
        for path, operations in document.get("paths", {}).items():
            sample = _sample(self._prefix + path, self.guard)
            for method in _METHODS:
                if method not in operations:
                    continue
                verdict = self.guard.explain(method.upper(), sample, self._root_path)
                may_exceed = self.guard.quotas is not None and self.guard.quotas.may_refuse(verdict)
                operation = _Operation(verdict, of_routes.get((path, method), ()), may_exceed=may_exceed)
                operation.secure(operations[method], list(schemes), has_names=has_names)
                cookies = self.guard.cookie is not None and method not in _SAFE_METHODS
                if operation.answer(operations[method], cookies=cookies):
                    components.setdefault("schemas", {}).setdefault(_PROBLEM, _PROBLEM_SCHEMA)


class _Operation:
    """Describe an operation: what the rules and the route ask of its callers.

    Args:
        verdict: of the rules.
        own: the requirements of the route.
        may_exceed: whether a quota may refuse an authenticated caller.
    """

    def __init__(self, verdict: Verdict, own: tuple[Requirement, ...], *, may_exceed: bool) -> None:
        self._may_exceed = may_exceed
        self._protected = verdict.protected or bool(own)
        self._optional = verdict.optional if not own else None
        rules = verdict.requirements if verdict.protected else ()
        self._requirements = tuple(dict.fromkeys(filter(None, (*rules, *own))))

    def secure(self, operation: dict[str, Any], schemes: list[str], *, has_names: bool) -> None:
        """Say by which schemes callers authenticate; a scheme of the application's own stays."""
        stated = operation.get("security")
        ours = stated is None or any(_BEARER in scheme for scheme in stated)  # by `current_user`
        if not self._protected or not ours:
            return
        names = self._names() if has_names else []
        # A guard of a mounted application has said more than is known here.
        by_mounted = (scope for each in stated or () for name in schemes for scope in each.get(name, ()))
        names = sorted({*names, *by_mounted})
        others = [each for each in stated or () if each and each.keys().isdisjoint([*schemes, _BEARER])]
        alternatives: list[dict[str, list[str]]] = [{name: names} for name in schemes]
        operation["security"] = [*([{}] if self._optional else ()), *alternatives, *others]

    def _names(self) -> list[str]:
        """Return the scopes and roles that each caller must have; a choice is told in the answer."""
        choices = [names for r in self._requirements for names in (r.any_of, r.roles) if len(names) == 1]
        return sorted(
            {name for names in choices for name in names}.union(*(r.scopes for r in self._requirements))
        )

    def answer(self, operation: dict[str, Any], *, cookies: bool) -> bool:
        """Say which refusals there are; the application's own words stay."""
        if not self._protected:
            return False
        responses = operation.setdefault("responses", {})
        if self._may_exceed:
            responses.setdefault("429", _response("The caller has sent too much.", _LIMIT_FIELDS))
        if self._optional == "lenient":
            return self._may_exceed
        signing_in = [
            Requirement(acr=requirement.acr or None, max_age=requirement.max_age)
            for requirement in self._requirements
            if requirement.signing_in
        ]
        unauthenticated = "The credential is missing, invalid, expired or revoked."
        if signing_in:
            words = _words(signing_in)
            unauthenticated = f"Nobody has signed in, or not as is asked here: {words}."
        responses.setdefault("401", _response(unauthenticated, _CHALLENGE))
        granted = [Requirement(each.scopes, each.any_of, each.roles) for each in self._requirements]
        if any(granted):
            forbidden = f"The caller lacks what is required: {_words(filter(None, granted))}."
            responses.setdefault("403", _response(forbidden, _CHALLENGE))
        elif cookies:
            responses.setdefault("403", _response("A request with a cookie came from another site."))
        return True


def _words(requirements: Iterable[Requirement]) -> str:
    return " and ".join(dict.fromkeys(map(str, requirements)))


def _response(description: str, fields: Mapping[str, str] | None = None) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{_PROBLEM}"}
    response: dict[str, Any] = {
        "description": description,
        "content": {"application/problem+json": {"schema": schema}},
    }
    if fields:
        response["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in fields.items()
        }
    return response


def _schemes(guard: Guard) -> dict[str, dict[str, str]]:
    schemes = {}
    if guard.reads_authorization:
        schemes[_BEARER] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    for field in sorted(name.decode("ascii") for name in guard.token_fields):
        schemes[f"JWT-{field.title()}"] = {
            "type": "apiKey",
            "in": "header",
            "name": field,
            "description": "A JWT, without a scheme before it.",
        }
    others = guard.credential_fields - guard.token_fields - {b"authorization", b"cookie"}
    fields = sorted(name.decode("ascii") for name in others)
    # X-API-Key keeps its name when fields are added.
    fields.sort(key=lambda name: name != "x-api-key")
    for number, field in enumerate(fields):
        name = f"APIKey-{field.title()}" if number else "APIKey"
        schemes[name] = {"type": "apiKey", "in": "header", "name": field}
    if guard.cookie is not None:
        prefix = "__Host-" if guard.cookie.secure and guard.cookie.host_prefix else ""
        schemes["Cookie"] = {"type": "apiKey", "in": "cookie", "name": prefix + guard.cookie.name}
    return schemes


def _requirements_of_routes(routes: Iterable[Any]) -> RequirementsByOperation:
    """Return the requirements of routes, by decorators and dependencies, those of included routers too."""
    # FastAPI puts what included routers ask on their routes late; older versions did it at once.
    contexts = getattr(routing, "iter_route_contexts", list)
    by_operation: RequirementsByOperation = {}
    for route in contexts(list(routes)):
        if getattr(route, "dependant", None) is None:
            continue
        requirements = (*required_by(route.endpoint), *required_by_dependencies(route.dependant))
        for method in route.methods or ():
            by_operation.setdefault((route.path_format, method.lower()), tuple(dict.fromkeys(requirements)))
    return by_operation


def _sample(path: str, guard: Guard) -> str:
    """Return a path that a template such as /items/{id} stands for, and that no rule names."""
    words = {word.lower() for rule in guard.policy.rules for word in rule.segments}
    word = next(word for word in ("x" * length for length in range(1, len(words) + 2)) if word not in words)
    return re.sub(r"\{[^}]*\}", word, path)
