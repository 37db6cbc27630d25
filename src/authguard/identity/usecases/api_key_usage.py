"""Report the requests with the keys of an owner: of all keys together, and of each key over time."""

from collections.abc import Sequence
from dataclasses import replace

from authguard._core.model import Principal
from authguard._core.terms import OK
from authguard.identity.keys.usage import UsageRecorder
from authguard.identity.model import Operator, StoredAPIKey
from authguard.identity.storage import api_key_queries as key_store
from authguard.identity.storage.usage_levels import DAY, DAY_SECONDS, MONTH, Level
from authguard.identity.storage.usage_queries import LastUse, sum_uses
from authguard.identity.storage.usage_series import Period, add_up, read_usage
from authguard.identity.tiers import Usage
from authguard.identity.usecases.api_key_rights import Rights, find_own_key
from authguard.identity.usecases.context import Base


class APIKeyUsage:
    """Sum up counts.

    Args:
        base: the common parts of use cases.
        rights: finds the owner of keys.
        recorder: holds the counts of this process that are not written yet; None if it counts nothing.
    """

    def __init__(self, base: Base, rights: Rights, recorder: UsageRecorder | None) -> None:
        self._base = base
        self._rights = rights
        self._recorder = recorder

    def usage(self, principal: Principal) -> Usage:
        """Return the number of requests with all keys of the principal's owner.

        Other processes write their counts once a minute. The limits are those of the acting key, or of
        `Settings.api_key_tier` for a signed-in owner.

        Raises:
            InvalidTokenError: if the principal is no longer valid.
            StoreUnavailableError: if the database does not answer.
        """
        settings, now = self._base.settings, self._base.clock()
        today, first = DAY.start_of(now), MONTH.start_of(now)
        tomorrow = today + DAY_SECONDS
        with self._base.database.read() as connection:
            manager = self._rights.find_manager(connection, principal, now)
            of_today = sum_uses(connection, manager.user_id, today, tomorrow)
            of_month = sum_uses(connection, manager.user_id, first, tomorrow)
            key_ids = set(key_store.list_key_ids(connection, manager.user_id)) if self._recorder else set()
        pending = self._recorder.pending(key_ids) if self._recorder else []
        starts = [(row.start, row.uses) for row in pending if row.outcome == OK and row.start < tomorrow]
        tier = settings.api_key_tier if manager.key is None else manager.key.tier
        limits = settings.api_key_tiers.get(tier) or settings.api_key_tiers[settings.api_key_tier]
        return Usage(
            tier=tier,
            today=of_today + sum(uses for start, uses in starts if start >= today),
            month=of_month + sum(uses for start, uses in starts if start >= first),
            per_day=limits.per_day,
            per_minute=limits.per_minute,
        )

    def add_waiting(self, keys: Sequence[StoredAPIKey]) -> Sequence[StoredAPIKey]:
        """Return keys with the requests of this process that are not written yet."""
        ids = {key.id for key in keys}
        waiting = {} if self._recorder is None else self._recorder.pending_last_uses(ids)
        return [_used(key, waiting[key.id]) if key.id in waiting else key for key in keys]

    def usage_of(
        self, principal: Principal | Operator, key_id: str, level: Level, *, begin: float, end: float
    ) -> Sequence[Period]:
        """Return the outcomes of the requests with a key of the principal's owner, in the order of time.

        Args:
            principal: of a session, or of an API key; or the operator.
            key_id: the key.
            level: the kind of periods.
            begin: the first time, in seconds since the epoch; its whole period is returned.
            end: the end, which is excluded.

        Raises:
            NotFoundError: if the owner has no such key.
            InvalidTokenError: if the principal is no longer valid.
            StoreUnavailableError: if the database does not answer.
        """
        with self._base.database.read() as connection:
            manager = self._rights.find_manager(connection, principal, self._base.clock())
            key = find_own_key(connection, manager, key_id, lock=False)
            stored = read_usage(connection, key, level, begin, end)
        pending = () if self._recorder is None else self._recorder.pending([key.id])
        first = level.start_of(begin)
        return add_up(level, [*stored, *(row[1:] for row in pending if first <= row.start < end)])


def _used(key: StoredAPIKey, use: LastUse) -> StoredAPIKey:
    """Return a key with further uses, as they will be written."""
    key = replace(key, usage_count=key.usage_count + use.uses)
    if key.last_used_at is not None and use.at <= key.last_used_at:
        return key
    return replace(key, last_used_at=use.at, last_used_address=use.address or key.last_used_address)
