"""Share revocations and used DPoP proofs among processes and machines, without the identity service."""

from authguard._core.logouts import StoreHealth
from authguard._core.quota_store import QuotaHealth, QuotaState, QuotaStore, Take, Taken
from authguard.stores.counting.memory import MemoryQuotas
from authguard.stores.counting.redis import RedisQuotas
from authguard.stores.memory import MemoryRevocations
from authguard.stores.postgres import PostgresStore
from authguard.stores.receipt import Receipt
from authguard.stores.redis import RedisStore
from authguard.stores.revocations import SharedRevocations
from authguard.stores.sqlite import SQLiteStore

__all__ = [
    "MemoryQuotas",
    "MemoryRevocations",
    "PostgresStore",
    "QuotaHealth",
    "QuotaState",
    "QuotaStore",
    "Receipt",
    "RedisQuotas",
    "RedisStore",
    "SQLiteStore",
    "SharedRevocations",
    "StoreHealth",
    "Take",
    "Taken",
]
