"""Sign in for Schemathesis, which loads this file itself, and note the answers."""

import itertools
import json
import os
from pathlib import Path
from typing import Any

import requests
import schemathesis

_GIVEN = json.loads(os.environ["SCHEMATHESIS_CALLERS"])
_SEEN = Path(os.environ["SCHEMATHESIS_SEEN"])
_API = f"{_GIVEN['base']}/api/v1"
_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"
_turns = itertools.count()
_seen: set[str] = set()
_tokens: list[str] = []  # the token of the account, as long as it is valid


def _sign_in() -> str:
    account = {"email": _GIVEN["email"], "password": _GIVEN["password"]}
    return str(requests.post(f"{_API}/auth/login", json=account, timeout=30).json()["access_token"])


def _examples() -> dict[str, dict[str, Any]]:
    """Return valid bodies, by operation and media type, because a schema cannot describe them exactly."""
    account = {"email": _GIVEN["email"], "password": _GIVEN["password"]}
    signed_in = {"username": _GIVEN["email"], "password": _GIVEN["password"]}
    tokens = [requests.post(f"{_API}/auth/login", json=account, timeout=30).json() for _ in range(3)]
    forms = (
        {"grant_type": "password", **signed_in},
        {"grant_type": "client_credentials"},
        {"grant_type": "refresh_token", "refresh_token": tokens[0]["refresh_token"]},
    )
    return {
        "/auth/register": {_JSON: [account, {**account, "email": "new@example.com", "name": "Nick"}]},
        "/auth/login": {_JSON: [account, {**account, "password": "Another-Passw0rd!"}], _FORM: [signed_in]},
        "/auth/login-json": {_JSON: [signed_in]},
        "/auth/refresh": {_JSON: [{"refresh_token": tokens[1]["refresh_token"]}]},
        "/auth/change-password": {
            _JSON: [{"current_password": "Another-Passw0rd!", "new_password": "New-Passw0rd-7!"}]
        },
        "/auth/change-email": {_JSON: [{"new_email": "moved@example.com", "password": account["password"]}]},
        "/auth/change-email/confirm": {_JSON: [{"token": "unknown"}]},
        "/auth/delete-account": {_JSON: [{"password": "Another-Passw0rd!"}]},
        "/auth/forgot-password": {_JSON: [{"email": _GIVEN["email"]}]},
        "/auth/reset-password": {_JSON: [{"token": "unknown", "new_password": "New-Passw0rd-7!"}]},
        "/api-keys": {_JSON: [{"name": "Probe", "scopes": ["read"], "expires_in_days": 7}]},
        "/oauth/token": {_FORM: forms},
        "/oauth/introspect": {_FORM: [{"token": tokens[2]["access_token"]}]},
        "/oauth/revoke": {_FORM: [{"token": tokens[2]["refresh_token"]}]},
    }


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Add valid examples to the operations, which are sent first."""
    for path, by_media in _examples().items():
        content = raw_schema["paths"][f"/api/v1{path}"]["post"]["requestBody"]["content"]
        for media, bodies in by_media.items():
            content[media]["examples"] = {str(number): {"value": body} for number, body in enumerate(bodies)}


@schemathesis.auth(refresh_interval=None)
class Callers:
    """Send a token to most operations, an API key now and then, and a client's secret to those of OAuth."""

    def get(self, case: Any, context: Any) -> dict[str, str]:
        """Return the fields of a request."""
        path = case.operation.path
        if "/oauth/" in path:
            return {"Authorization": _GIVEN["basic"]}
        if ("/api-keys" in path or path.endswith("/me")) and next(_turns) % 4 == 0:
            return {"X-API-Key": _GIVEN["api_key"]}
        if "/auth/logout" in path:
            return {"Authorization": f"Bearer {_sign_in()}"}
        if not _tokens:
            _tokens.append(_sign_in())
        return {"Authorization": f"Bearer {_tokens[0]}"}

    def set(self, case: Any, data: dict[str, str], context: Any) -> None:
        """Put the fields into a request."""
        case.headers = {**(case.headers or {}), **data}


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Note an answer; replace a token that has ended."""
    if response.status_code == 401 or "/auth/logout" in case.operation.path:
        _tokens.clear()
    seen = f"{case.operation.label} {response.status_code}"
    if seen not in _seen:
        _seen.add(seen)
        with _SEEN.open("a") as file:
            file.write(f"{seen}\n")
