"""Build the OpenAPI document of a service from its routes."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode
from starlette.routing import BaseRoute, Route

from authguard.identity.openapi.operations import Access, Operation, operation_of, texts_of
from authguard.identity.openapi.problems import LIMITS, PROBLEMS, refusals_of
from authguard.identity.settings import Settings

#: The path of the document, which has no prefix.
DOCUMENT = "/openapi.json"
_REFERENCE = "#/components/schemas/{model}"
_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"
_PLACES = {
    "key_id": "The id of an API key.",
    "session_id": "The id of a session.",
    "provider": "The name of a provider to sign in with.",
}
_GROUPS = {
    "auth": "Registering, signing in, passwords and addresses",
    "users": "The account of the caller",
    "api-keys": "API keys",
    "oauth": "Tokens for clients of OAuth 2",
    "secret-scanning": "Reports of keys that were found in public",
    "test-auth": "For development",
    "service": "The service itself",
}


class ServiceDocument:
    """Build the document of a service when it is first requested.

    Args:
        settings: of the service.
        providers: the names of the providers for signing in.
    """

    def __init__(self, settings: Settings, providers: Iterable[str] = ()) -> None:
        self._settings = settings
        self._providers = list(providers)
        self._routes: list[Route] = []

    def describe(self, routes: Iterable[BaseRoute]) -> None:
        """Set the routes for the document; if the API has several prefixes, those of the first."""
        others = tuple(f"{prefix}/" for prefix in list(self._settings.prefixes)[1:])
        first = f"{next(iter(self._settings.prefixes))}/"
        self._routes = [
            route
            for route in routes
            if isinstance(route, Route)
            and (route.path.startswith(first) or not route.path.startswith(others))
        ]

    @cached_property
    def content(self) -> dict[str, Any]:
        """Return the document.

        Raises:
            LookupError: if an endpoint has no description.
        """
        operations = [operation_of(route.endpoint) for route in self._routes]
        schemas = _schemas_of(tuple(dict.fromkeys(kind for each in operations for kind in _kinds(each))))
        paths: dict[str, dict[str, Any]] = {}
        for route in self._routes:
            method = (route.methods or set()) - {"HEAD"}
            paths.setdefault(route.path, {})[min(method).lower()] = self._operation(route, schemas)
        return {
            "openapi": "3.1.1",
            "info": {
                "title": self._settings.product_name or "Identity service",
                "version": version("authguard"),
                "description": self._description,
            },
            "servers": [{"url": self._settings.issuer}],
            "tags": [{"name": name, "description": text} for name, text in self._tags.items()],
            "paths": paths,
            "components": {"schemas": schemas.components, "securitySchemes": self._schemes},
        }

    @property
    def _description(self) -> str:
        prefixes = list(self._settings.prefixes)
        texts = ["Accounts, sessions, tokens and API keys. Refusals are problem documents (RFC 9457)."]
        if prefixes[1:]:
            texts.append(f"The endpoints below {prefixes[0]} also exist below {' and '.join(prefixes[1:])}.")
        return " ".join(texts)

    @property
    def _tags(self) -> dict[str, str]:
        used = {self._tag(route.path) for route in self._routes}
        return {name: text for name, text in _GROUPS.items() if name in used}

    def _tag(self, path: str) -> str:
        """Return the group of a path: its first segment below the prefix."""
        first = next(iter(self._settings.prefixes))
        if not path.startswith(f"{first}/"):
            return "service"
        segments = path.removeprefix(first).split("/")
        return "api-keys" if segments[1:3] == ["auth", "api-keys"] else segments[1]

    def _operation(self, route: Route, schemas: "_Schemas") -> dict[str, Any]:
        operation = operation_of(route.endpoint)
        summary, text = texts_of(route.endpoint)
        described: dict[str, Any] = {
            "tags": [self._tag(route.path)],
            "operationId": self._id(route),
            "summary": summary,
            **({"description": text} if text else {}),
            "security": self._security(operation.access),
        }
        if parameters := [*self._path_parameters(route), *_parameters(operation)]:
            described["parameters"] = parameters
        content = {
            media: {"schema": schemas.of(kind)}
            for media, kind in ((_JSON, operation.json), (_FORM, operation.form))
            if kind is not None
        }
        if content:
            described["requestBody"] = {"required": operation.needs_body, "content": content}
        described["responses"] = {
            str(status): answer for status, answer in sorted(_answers(operation, schemas).items())
        }
        return described

    def _security(self, access: Access) -> list[dict[str, list[str]]]:
        """Return the security requirements, one of which must be met."""
        return [{name: [] for name in names} for names in access.value if self._schemes.keys() >= set(names)]

    def _id(self, route: Route) -> str:
        path = route.path.removeprefix(next(iter(self._settings.prefixes)))
        method = min((route.methods or set()) - {"HEAD"}).lower()
        return "_".join([method, *re.findall(r"[A-Za-z0-9]+", path)])

    def _path_parameters(self, route: Route) -> Iterator[dict[str, Any]]:
        for name in route.param_convertors:
            schema: dict[str, Any] = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
            if name == "provider" and self._providers:
                schema["examples"] = self._providers
            yield {
                "name": name,
                "in": "path",
                "required": True,
                "description": _PLACES[name],
                "schema": schema,
            }

    @property
    def _schemes(self) -> dict[str, Any]:
        settings = self._settings
        schemes: dict[str, Any] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, or an API key."},
            "cookie": {
                "type": "apiKey",
                "in": "cookie",
                "name": settings.access_cookie.name,
                "description": "The access token of a user who has signed in on the pages.",
            },
            "client": {
                "type": "http",
                "scheme": "basic",
                "description": "The `client_id` and the `client_secret` of a registered client.",
            },
        }
        if settings.api_keys:
            schemes["apiKey"] = {
                "type": "apiKey",
                "in": "header",
                "name": "X-API-Key",
                "description": "An API key.",
            }
        return dict(sorted(schemes.items()))


class _Schemas:
    """Build the schemas of all bodies, by name.

    Args:
        kinds: the types of the bodies, in addition to those of the refusals.
    """

    def __init__(self, kinds: Iterable[Any]) -> None:
        adapters: list[tuple[Any, JsonSchemaMode, TypeAdapter[Any]]] = [
            (kind, "validation", TypeAdapter(kind)) for kind in dict.fromkeys([*PROBLEMS, *kinds])
        ]
        made, defined = TypeAdapter.json_schemas(adapters, ref_template=_REFERENCE)
        self._made = {kind: schema for (kind, _), schema in made.items()}
        self.components: dict[str, Any] = dict(sorted(defined["$defs"].items()))

    def of(self, kind: Any) -> Mapping[str, Any]:
        """Return the schema of a body."""
        return self._made[kind]


#: Built once for the same types, because this is most of the work for a document. The types depend on the
#: settings, such as those of API keys.
_schemas_of = lru_cache(maxsize=16)(_Schemas)


def _kinds(operation: Operation) -> Iterator[Any]:
    """Yield the types of the bodies of an operation."""
    kinds = operation.json, operation.form, *operation.answers.values()
    return (kind for kind in kinds if kind is not None)


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    """Return the query parameters and the request fields."""
    return [
        {
            "name": parameter.name,
            "in": parameter.place,
            "required": parameter.required,
            "description": parameter.description,
            "schema": dict(parameter.schema),
        }
        for parameter in operation.parameters
    ]


def _answers(operation: Operation, schemas: _Schemas) -> dict[int, dict[str, Any]]:
    """Return the responses of an operation by status."""
    answers = refusals_of(operation)
    fields = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in operation.fields.items()
    }
    limits = LIMITS if operation.access is Access.OWNER else {}
    for status, kind in operation.answers.items():
        answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
        if kind is not None:
            answer["content"] = {_JSON: {"schema": schemas.of(kind)}}
        if headers := {**fields, **limits}:
            answer["headers"] = headers
        # The answer of a failed probe is not a refusal, but has the fields of one.
        answers[status] = answers.get(status, {}) | answer
    return answers
