"""Keep the counts of limits in Redis."""

import time
from typing import Any

from limits.errors import StorageError
from limits.storage import RedisStorage

# Each entry of the library is the time of a request, whose text depends on the version of Redis. Equal
# entries can be exchanged.
_GIVE_BACK = b"""
for _, entry in ipairs(redis.call('lrange', KEYS[1], 0, -1)) do
    if tonumber(entry) == tonumber(ARGV[1]) then
        return redis.call('lrem', KEYS[1], 1, entry)
    end
end
return 0
"""


class CountRedis(RedisStorage):
    """Count like the library's storage, and remove counted requests."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._give_back = self.get_connection().register_script(_GIVE_BACK)

    def take(self, key: str, limit: int, expiry: int) -> object:
        """Count a request, and return a receipt; None if the limit is reached.

        Args:
            key: the key of the count.
            limit: the greatest number of requests in a window.
            expiry: the seconds of a window.

        Raises:
            StorageError: if Redis is down.
        """
        now = time.time()
        try:
            is_taken = self.lua_acquire_moving_window([self.prefixed_key(key)], [now, limit, expiry, 1])
        except self.base_exceptions as error:
            raise StorageError(error) from error
        return now if is_taken else None

    def give_back(self, key: str, receipt: object) -> None:
        """Remove a request that was counted, unless its window has ended.

        Args:
            key: the key of the count.
            receipt: as returned by `take`.

        Raises:
            StorageError: if Redis is down.
        """
        try:
            self._give_back([self.prefixed_key(key)], [str(receipt)])
        except self.base_exceptions as error:
            raise StorageError(error) from error
