"""Share revocations, used DPoP proofs and quotas among processes, without the identity service."""

from authguard._core.logouts import StoreHealth
from authguard._core.quota_store import QuotaHealth, QuotaState, QuotaStore, Take, Taken
from authguard.stores.counting.memory import MemoryQuotas
from authguard.stores.counting.postgres import PostgresQuotas
from authguard.stores.counting.redis import RedisQuotas
from authguard.stores.counting.sqlite import SQLiteQuotas
from authguard.stores.memory import MemoryRevocations
from authguard.stores.postgres import PostgresStore
from authguard.stores.receipt import Receipt
from authguard.stores.redis import RedisStore
from authguard.stores.revocations import SharedRevocations
from authguard.stores.sqlite import SQLiteStore

__all__ = [
    "MemoryQuotas",
    "MemoryRevocations",
    "PostgresQuotas",
    "PostgresStore",
    "QuotaHealth",
    "QuotaState",
    "QuotaStore",
    "Receipt",
    "RedisQuotas",
    "RedisStore",
    "SQLiteQuotas",
    "SQLiteStore",
    "SharedRevocations",
    "StoreHealth",
    "Take",
    "Taken",
]
