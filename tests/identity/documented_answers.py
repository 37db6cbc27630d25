"""Compare the answers of all tests of the service with its OpenAPI document."""

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import jsonschema_rs
import pytest

from authguard.identity import Identity

#: The number of answers of one operation and status whose bodies are checked, so that the tests stay fast.
_EACH = 40
_DOCUMENTED = frozenset({"application/json", "application/problem+json"})
_counts: Counter[tuple[str, str, int]] = Counter()
#: By all that a document is made of, because each test makes a service of its own.
_documents: "dict[Hashable, Documented]" = {}
_of_services: "WeakKeyDictionary[Identity, Documented]" = WeakKeyDictionary()
#: Answers that no document names: an unexpected error, another method, the framework's own, a client that has
#: left.
_ANY = frozenset({500, 405, 499})


class Documented:
    """Find the answers in the document of a service.

    Args:
        identity: the service.
    """

    def __init__(self, identity: Identity) -> None:
        self.document = document = identity._document.content
        first, *others = identity._settings.prefixes
        self._first, self._others = first, others
        self.routes = [
            (route.path_regex, route.path)
            for route in identity._document._routes
            if route.path in document["paths"]
        ]
        self._validators: dict[tuple[str, str, int, str], Any] = {}

    def operation(self, method: str, path: str) -> tuple[str, dict[str, Any]] | None:
        """Return the path in the document, and the operation; None without one."""
        for prefix in self._others:
            if path.startswith(f"{prefix}/"):
                path = self._first + path.removeprefix(prefix)
        for pattern, name in self.routes:
            if pattern.fullmatch(path) and method.lower() in self.document["paths"][name]:
                return name, self.document["paths"][name][method.lower()]
        return None

    def problems(
        self, method: str, path: str, status: int, fields: dict[str, str], body: Callable[[], bytes]
    ) -> Iterator[str]:
        """Yield a sentence for each difference of an answer from the document."""
        documented = self.operation(method, path)
        if documented is None or status in _ANY:
            return
        name, operation = documented
        label = f"{method} {name} {status}"
        answer = operation["responses"].get(str(status))
        if answer is None:
            yield f"{label} is not documented: {body()[:200]!r}"
            return
        for field, described in answer.get("headers", {}).items():
            if described.get("required") and field.lower() not in fields:
                yield f"{label} has no {field}"
        media = fields.get("content-type", "").partition(";")[0]
        if status >= 400 and media == "text/html":
            return  # a page for a browser; the document describes only answers for programs
        content = answer.get("content", {})
        if content and media not in content:
            yield f"{label} is {media}"
        elif media in _DOCUMENTED and content and _counts[method, name, status] < _EACH:
            _counts[method, name, status] += 1
            validator = self._validators.get((method, name, status, media))
            if validator is None:
                schema = {**content[media]["schema"], "components": self.document["components"]}
                validator = jsonschema_rs.validator_for(schema)
                self._validators[method, name, status, media] = validator
            if (error := next(validator.iter_errors(json.loads(body())), None)) is not None:
                yield f"{label}: {list(error.instance_path)} {error.message[:200]}"


def _documented(identity: Identity) -> Documented:
    """Return the answers in the document of a service; services with equal settings share them."""
    documented = _of_services.get(identity)
    if documented is None:
        document = identity._document
        routes = [(route.path, *sorted(route.methods or ()), route.name) for route in document._routes]
        key = (repr(document._settings), *document._providers, *routes)
        documented = _documents.get(key) or _documents.setdefault(key, Documented(identity))
        _of_services[identity] = documented
    return documented


def watch_answers(patch: pytest.MonkeyPatch, problems: set[str]) -> None:
    """Compare each answer of a service with its document, and add differences to `problems`."""
    call = Identity.__call__

    async def watched(identity: Identity, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await call(identity, scope, receive, send)
            return
        method, path, start = scope["method"], identity._path(scope), dict[str, Any]()
        body = bytearray()

        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body" and len(body) < 1_000_000:
                body.extend(message.get("body", b""))
            await send(message)

        await call(identity, scope, receive, noting)
        if start and path != "/openapi.json":
            documented = _documented(identity)
            fields = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
            problems.update(documented.problems(method, path, start["status"], fields, lambda: bytes(body)))

    patch.setattr(Identity, "__call__", watched)
