"""Collect the faults of settings, so that one error names all of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from authguard.errors import ConfigurationError


class Faults:
    """Collect the faults of settings.

    Attributes:
        texts: the text of each fault.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note a ConfigurationError, so that the next setting can be checked."""
        try:
            yield
        except ConfigurationError as error:
            self.texts.append(str(error))

    def raise_all(self) -> None:
        """Raise the noted faults.

        Raises:
            ConfigurationError: names all of them, if there are any.
        """
        if self.texts:
            raise ConfigurationError("; ".join(self.texts))
