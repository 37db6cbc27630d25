"""Replace an API key by a new one, as in the example of the AINative document."""

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

import httpx

from authguard._core.options import check_object, check_plain_function, check_text, check_whole


def rotate_api_key(
    client: httpx.Client,
    old_key_id: str,
    update: Callable[[str], object],
    *,
    name: str | None = None,
    expires_in_days: int = 90,
) -> str:
    """Create an API key, let the services switch to it, and revoke the old one.

    If `update` raises, nothing is revoked, because some services may already use the new key. If revoking the
    old key fails, the new one stays in use.

    Args:
        client: a client that is signed in as the owner, with the base URL of the API:
            `httpx.Client(base_url=url, auth=BearerAuth(url, email, password))`.
        old_key_id: the id of the key to revoke.
        update: called with the new key; it returns when all services use it.
        name: of the new key; None for "Rotated Key" and the time, in UTC.
        expires_in_days: how long the new key is valid.

    Returns:
        the new key, which the service never shows again.

    Raises:
        ConfigurationError: if an option has the wrong type.
        httpx.HTTPStatusError: if the service refuses one of the two requests. httpx.TransportError: if the
        service cannot be reached.
    """
    check_object(client, "client", httpx.Client, "client=httpx.Client(…)", or_none=False)
    check_text(old_key_id, "old_key_id", must="be the id of the key to revoke")
    check_plain_function(update, "update", "wait in it until all services use the key", "new_key")
    if name is None:
        name = f"Rotated Key {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    check_text(name, "name", must="be the name of the new key")
    check_whole(expires_in_days, "expires_in_days")
    body = {"name": name, "expires_in_days": expires_in_days}
    # A redirect would turn it into a GET, or send it to another server.
    created = client.post("/api-keys", json=body, follow_redirects=False).raise_for_status()
    new_key: str = created.json()["api_key"]
    update(new_key)
    path = f"/api-keys/{quote(old_key_id, safe='')}"
    client.delete(path, follow_redirects=False).raise_for_status()
    return new_key
