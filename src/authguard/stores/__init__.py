"""Keep revocations for the guard, without the identity service."""

from authguard.stores.memory import MemoryRevocations

__all__ = ["MemoryRevocations"]
