"""Remember recent values in two generations: a bounded memory for the hot path."""

from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Memory(Generic[Key, Value]):
    """Store at least the last `size / 2` and at most `size` values, without a lock.

    When the young generation is full it becomes the old one, and the previous old one is dropped, except for
    values that were read again. Each step is one dictionary operation, so threads can at worst drop a value
    early. The caches of cachetools need a lock, which would double the cost of a known token.

    Args:
        size: the greatest number of values.

    Attributes:
        young: the values that were stored or read recently. The two functions that run for every request read
            it directly, and call `revive` if the key is missing; this saves a call.
    """

    __slots__ = ("_half", "_old", "young")

    def __init__(self, size: int) -> None:
        self._half = max(1, size // 2)
        self.young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        """Return the value of a key, or None."""
        value = self.young.get(key)
        return self.revive(key) if value is None else value

    def revive(self, key: Key) -> Value | None:
        """Return a value of the old generation, or None, and move it to the young one."""
        value = self._old.get(key)
        if value is not None:
            self.put(key, value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Store the value, and drop the older generation when the young one is full."""
        if len(self.young) >= self._half:
            self._old = self.young
            self.young = {}
        self.young[key] = value

    def forget(self, key: Key) -> None:
        """Delete one value, if it exists."""
        self.young.pop(key, None)
        self._old.pop(key, None)

    def clear(self) -> None:
        """Delete all values."""
        self.young = {}
        self._old = {}

    def __len__(self) -> int:
        return len(self.young.keys() | self._old.keys())
