"""Keep the secrets among options out of pickles, such as those for another process or a cache."""

from typing import Any, NoReturn, Self


class NeverPickled:
    """Refuse to be pickled, because the pickle would have secrets in clear; a copy is the object itself."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} must not be pickled, because the pickle would have its secrets in clear: "
            "build it in each process"
        )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
