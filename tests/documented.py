"""Compare the answers of an application with its OpenAPI document, by requests of Schemathesis."""

from collections.abc import Iterable, Mapping
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.result import Ok

from sizes import size

_CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
]


def answered_as_documented(
    app: Any, callers: Iterable[Mapping[str, str]], path: str = "/openapi.json"
) -> set[str]:
    """Send requests of several callers to each operation, and compare each answer with the document.

    Args:
        app: the ASGI application.
        callers: the fields that each caller sends; without any, credentials of all kinds are sent.
        path: of the document.

    Returns:
        method, path and status of each answer that was seen.

    Raises:
        FailureGroup: with the differences.
    """
    seen: set[str] = set()
    schema = schemathesis.openapi.from_asgi(path, app)
    for caller in callers:
        for operation in schema.get_all_operations():
            assert isinstance(operation, Ok), operation
            _compare(operation.ok(), dict(caller), seen)
    return seen


def _compare(operation: Any, caller: dict[str, str], seen: set[str]) -> None:
    @given(case=operation.as_strategy())
    @settings(
        max_examples=size(5, 100),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def compare(case: Any) -> None:
        response = case.call(headers=caller)
        seen.add(f"{operation.label} {response.status_code}")
        case.validate_response(response, checks=_CHECKS, headers=caller)

    compare()
