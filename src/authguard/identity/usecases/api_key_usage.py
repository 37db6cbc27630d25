"""Tell how many requests the keys of an owner have made."""

from datetime import UTC, datetime

from authguard._core.model import Principal
from authguard.identity.keys.usage import UsageRecorder
from authguard.identity.model import Usage
from authguard.identity.storage import api_key_queries as key_store
from authguard.identity.storage.usage_queries import sum_uses
from authguard.identity.usecases.api_key_rights import Rights
from authguard.identity.usecases.context import Base

_DAY = 86_400


class APIKeyUsage:
    """Sum up what has been counted.

    Args:
        base: the parts that use cases share.
        rights: tells whose keys they are.
        recorder: holds what this process has counted and not written yet; None if it counts nothing.
    """

    def __init__(self, base: Base, rights: Rights, recorder: UsageRecorder | None) -> None:
        self._base = base
        self._rights = rights
        self._recorder = recorder

    def usage(self, principal: Principal) -> Usage:
        """Return how many requests the keys of the principal's owner have made, all together.

        Other processes write what they have counted once a minute. The limits are those of the key that asks,
        or of `Settings.api_key_tier` for an owner who is signed in.

        Raises:
            InvalidTokenError: if the principal is no longer good.
            StoreUnavailableError: if the database cannot be asked.
        """
        settings, now = self._base.settings, self._base.clock()
        today = int(now // _DAY)
        moment = datetime.fromtimestamp(now, UTC)
        first = today - (moment.day - 1)
        with self._base.database.read() as connection:
            manager = self._rights.find_manager(connection, principal, now)
            of_today = sum_uses(connection, manager.user_id, today, today)
            of_month = sum_uses(connection, manager.user_id, first, today)
            key_ids = set(key_store.list_key_ids(connection, manager.user_id)) if self._recorder else set()
        pending = self._recorder.pending(key_ids) if self._recorder else {}
        tier = settings.api_key_tier if manager.key is None else manager.key.tier
        limits = settings.api_key_tiers.get(tier) or settings.api_key_tiers[settings.api_key_tier]
        return Usage(
            tier=tier,
            today=of_today + pending.get(today, 0),
            month=of_month + sum(uses for day, uses in pending.items() if first <= day <= today),
            per_day=limits.per_day,
            per_minute=limits.per_minute,
        )
