"""Remember recent things in two generations: a bounded memory for the hot path."""

from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Memory(Generic[Key, Value]):
    """Keep at least the last `size / 2` and at most `size` things, without a lock.

    When the young generation is full it becomes the old one, whose things are forgotten unless
    they were asked for again. Every step is one dictionary operation, so threads can at worst
    forget something early. The caches of cachetools need a lock, and would double what a known
    token costs.

    Args:
        size: how many things to hold at most.

    Attributes:
        young: what was put or asked for of late. The two places that every request passes look
            here first, and then in `revive`, which saves them a call.
    """

    __slots__ = ("_half", "_old", "young")

    def __init__(self, size: int) -> None:
        self._half = max(1, size // 2)
        self.young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        """Return what was put under the key, or None."""
        value = self.young.get(key)
        return self.revive(key) if value is None else value

    def revive(self, key: Key) -> Value | None:
        """Return what is in the old generation, or None, and take it over to the young one."""
        value = self._old.get(key)
        if value is not None:
            self.put(key, value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Remember the value, and forget what nobody asked for since long."""
        if len(self.young) >= self._half:
            self._old = self.young
            self.young = {}
        self.young[key] = value

    def forget(self, key: Key) -> None:
        """Drop one thing; nothing happens if it is not there."""
        self.young.pop(key, None)
        self._old.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        self.young = {}
        self._old = {}

    def __len__(self) -> int:
        return len(self.young.keys() | self._old.keys())
