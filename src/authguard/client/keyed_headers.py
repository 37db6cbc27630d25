"""Hold the fields of a request with an API key, which is sent, but is in no copy of the fields."""

from collections.abc import ItemsView, KeysView, ValuesView
from typing import Any

import httpx


class KeyedHeaders(httpx.Headers):
    """Hold fields with a key that every transport reads, but that is in no copy of the fields.

    httpx follows redirects below the auth flow with a copy of the fields, and removes only `Authorization`
    for another origin. The methods to read are those of `httpx.Headers`, with the field of the key; a copy is
    made from the other fields, which are stored apart.

    Args:
        headers: the other fields.
        name: the name of the field for the key.
        key: the key.
    """

    def __init__(self, headers: httpx.Headers, name: str, key: str) -> None:
        super().__init__(headers)
        self._key_field = [(name.encode(), key.encode())]  # empty after its removal

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the fields without the key, for `copy` and `pickle`."""
        return httpx.Headers, (super().raw,)

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """Return the fields to send."""
        return [*super().raw, *self._key_field]

    @property
    def _all(self) -> httpx.Headers:
        return httpx.Headers(self.raw, encoding=self.encoding)

    def keys(self) -> KeysView[str]:
        """Return the names of the fields."""
        return self._all.keys()

    def values(self) -> ValuesView[str]:
        """Return the values of the fields."""
        return self._all.values()

    def items(self) -> ItemsView[str, str]:
        """Return the names with their values."""
        return self._all.items()

    def multi_items(self) -> list[tuple[str, str]]:
        """Return each field line."""
        return self._all.multi_items()

    def get_list(self, key: str, split_commas: bool = False) -> list[str]:
        """Return all values of a field."""
        return self._all.get_list(key, split_commas)

    def __getitem__(self, key: str) -> str:
        return self._all[key]

    def __contains__(self, key: Any) -> bool:
        return key in self._all

    def __len__(self) -> int:
        return len(self.raw)

    def __setitem__(self, key: str, value: str) -> None:
        self._remove_key(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        if not self._remove_key(key):
            super().__delitem__(key)

    def __repr__(self) -> str:
        hidden = [(name, b"[secure]") for name, _ in self._key_field]
        return repr(httpx.Headers([*super().raw, *hidden]))

    def _remove_key(self, name: str) -> bool:
        """Remove the key if it is in a field with this name, and return whether it was."""
        is_found = any(field.decode().lower() == name.lower() for field, _ in self._key_field)
        if is_found:
            self._key_field = []
        return is_found
