"""Store many sessions of an account at once."""

from typing import Any

from sqlalchemy import insert

from authguard.identity import IdentityService
from authguard.identity.storage.schema import sessions
from identity.support import NOW


def add_sessions(service: IdentityService, user_id: str, count: int, **given: Any) -> None:
    """Store sessions that began before now, two at each time, so that their ids matter, too."""
    rows = []
    for number in range(count):
        begun = NOW - 5000 + number // 2
        row = {
            "id": f"{user_id[:8]}-{len(given)}-{number:06}", "user_id": user_id, "generation": 0,
            "created_at": begun, "refreshed_at": begun, "expires_at": NOW + 86_400, "ends_at": NOW + 86_400,
            "ended_at": None, "client_id": None, "address": "", "user_agent": "",
        }  # fmt: skip
        rows.append(row | given)
    with service.database.write() as connection:
        if rows:
            connection.execute(insert(sessions), rows)
