"""Replace an API key by a new one, as in the example of the AINative document."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from authguard._core.credential.key_format import looks_like_key
from authguard._core.options import check_object, check_plain_function, check_text, check_whole, named_options
from authguard.errors import ConfigurationError

_ID = "be the id of the key to revoke, such as key_550e8400-e29b-41d4-a716-446655440000"
#: The members of `GET api-keys/{id}` that a new key gets, with their types.
_RIGHTS = {"scopes": list, "networks": list, "tier": str, "metadata": dict}
_PAIR_KIND = "claw"  # the client secret of the new key could not be returned beside the key
_INSTEAD = "POST /api-keys/{id}/rotations gives the key a new secret with the same rights"


@named_options
def rotate_api_key(
    client: httpx.Client,
    old_key_id: str,
    update: Callable[[str], object],
    *,
    name: str | None = None,
    expires_in_days: int = 90,
) -> str:
    """Create an API key with the rights of another, let the services switch to it, and revoke the old one.

    The new key has the prefix, scopes, networks, tier and metadata of the old key. If these cannot be read,
    or the account may not grant them, no key is created. If `update` raises, nothing is revoked, because some
    services may already use the new key. If revoking the old key fails, the new one stays in use.

    Args:
        client: a client that is signed in as the owner, with the base URL of the API:
            `httpx.Client(base_url=url, auth=BearerAuth(url, email, password))`.
        old_key_id: the id of the key to revoke; not the key itself.
        update: called with the new key; it returns when all services use it.
        name: of the new key; None for "Rotated Key" and the time, in UTC.
        expires_in_days: the days for which the new key is valid.

    Returns:
        the new key, which the service never shows again.

    Raises:
        ConfigurationError: if an option has the wrong type, if the account has no such key, if the key is
            not active or has a client secret, or if the service does not show its rights or the new key.
        httpx.HTTPStatusError: if the service refuses a request. httpx.TransportError: if the service cannot
            be reached.
    """
    check_object(client, "client", httpx.Client, "client=httpx.Client(…)", or_none=False)
    check_text(old_key_id, "old_key_id", must=_ID, secret=True)
    if looks_like_key(old_key_id):
        raise ConfigurationError(f"old_key_id must {_ID}, got a key: GET /api-keys lists the ids")
    check_plain_function(update, "update", "wait in it until all services use the key", "key")
    if name is None:
        name = f"Rotated Key {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    check_text(name, "name", must="be the name of the new key")
    check_whole(expires_in_days, "expires_in_days")
    _check_listed(client, old_key_id)
    path = f"/api-keys/{quote(old_key_id, safe='')}"
    body = {"name": name, "expires_in_days": expires_in_days, **_rights_of(_read(client, path))}
    # A redirect would turn it into a GET, or send it to another server.
    created = client.post("/api-keys", json=body, follow_redirects=False)
    try:
        created.raise_for_status()
    except httpx.HTTPStatusError as error:
        if created.status_code == 403:
            error.add_note(f"the client may not give a new key all rights of the old key; {_INSTEAD}")
        raise
    new_key = _new_key_of(_json_of(created))
    update(new_key)
    client.delete(path, follow_redirects=False).raise_for_status()
    return new_key


def _check_listed(client: httpx.Client, old_key_id: str) -> None:
    """Check that the owner has a key with this id, before the text is in the path of a request.

    Servers log paths, and a text that is not an id may be a secret.

    Raises:
        ConfigurationError: if the list of the service has no such key.
    """
    listed = _read(client, "/api-keys")
    keys = listed if isinstance(listed, list) else []
    if not any(isinstance(key, dict) and key.get("id") == old_key_id for key in keys):
        raise ConfigurationError(
            f"old_key_id must {_ID}, got a text that GET /api-keys does not list for this account"
        )


def _read(client: httpx.Client, path: str) -> Any:
    """Return the JSON of a path; None if the answer is not JSON."""
    return _json_of(client.get(path, follow_redirects=False).raise_for_status())


def _json_of(answer: httpx.Response) -> Any:
    """Return the JSON of an answer; None if it is not JSON, or nests too deeply."""
    try:
        return answer.json()
    except (ValueError, RecursionError):
        return None


def _new_key_of(made: Any) -> str:
    """Return the key of an answer to a request for a new one.

    Raises:
        ConfigurationError: if it has none: services that got another text would have no key at all.
    """
    new_key = made.get("api_key") if isinstance(made, dict) else None
    if not isinstance(new_key, str) or not new_key:
        raise ConfigurationError(
            "client must lead to a service that returns the new key, got an answer to POST /api-keys without "
            "api_key: the old key is as it was; revoke the new one, if GET /api-keys lists it"
        )
    return new_key


def _rights_of(old: Any) -> dict[str, object]:
    """Return the members of a request for a key with the same rights as another.

    Raises:
        ConfigurationError: if the answer of the service does not show all of them, or if the key is not
            active or has a client secret.
    """
    shown = old if isinstance(old, dict) else {}
    expected = {"is_active": bool, "prefix": str, **_RIGHTS}
    missing = [member for member, kind in expected.items() if not isinstance(shown.get(member), kind)]
    if missing:
        raise ConfigurationError(
            "client must lead to a service that shows the rights of a key, got an answer to "
            f"GET /api-keys/{{id}} without {', '.join(missing)}: create the new key with its rights yourself"
        )
    if not shown["is_active"]:
        raise ConfigurationError("old_key_id must be the id of an active key, got one that cannot be used")
    if shown["prefix"] == _PAIR_KIND:
        raise ConfigurationError(
            f"old_key_id must be the id of a key without a client secret, got one with the prefix claw_: "
            f"{_INSTEAD}"
        )
    return {"kind": shown["prefix"], **{member: shown[member] for member in _RIGHTS}}
