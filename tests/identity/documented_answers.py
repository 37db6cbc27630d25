"""Hold the answers of all tests of the service to its OpenAPI document."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import jsonschema_rs
import pytest

from authguard.identity import Identity

#: Answers of one operation and one status whose bodies are looked at, so that the tests stay fast.
_EACH = 40
_DOCUMENTED = frozenset({"application/json", "application/problem+json"})
_counts: Counter[tuple[str, str, int]] = Counter()
_documents: "WeakKeyDictionary[Identity, Documented]" = WeakKeyDictionary()
#: Answers that no document names: an unexpected error, another method, the framework's own.
_ANY = frozenset({500, 405})


class Documented:
    """What the document of a service says about answers.

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

    def operation(self, method: str, path: str) -> tuple[str, dict[str, Any]] | None:
        """Return the path of the document, and the operation; None for what is none."""
        for prefix in self._others:
            if path.startswith(f"{prefix}/"):
                path = self._first + path.removeprefix(prefix)
        for pattern, name in self.routes:
            if pattern.match(path) and method.lower() in self.document["paths"][name]:
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
            return  # the page of a person who navigates; the document is for programs
        content = answer.get("content", {})
        if content and media not in content:
            yield f"{label} is {media}"
        elif media in _DOCUMENTED and content and _counts[method, name, status] < _EACH:
            _counts[method, name, status] += 1
            schema = {**content[media]["schema"], "components": self.document["components"]}
            if (error := next(jsonschema_rs.iter_errors(schema, json.loads(body())), None)) is not None:
                yield f"{label}: {list(error.instance_path)} {error.message[:200]}"


def watch_answers(patch: pytest.MonkeyPatch, problems: set[str]) -> None:
    """Compare each answer of a service with its document, and add what differs to `problems`."""
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
            documented = _documents.get(identity) or _documents.setdefault(identity, Documented(identity))
            fields = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
            problems.update(documented.problems(method, path, start["status"], fields, lambda: bytes(body)))

    patch.setattr(Identity, "__call__", watched)
