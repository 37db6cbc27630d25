"""Collect the faults of settings, so that one error names all of them."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from authguard.errors import ConfigurationError

# The advice of secrets in Python code, which is none for a variable.
_READING = re.compile(r"read (?:the file|it), for example Path\(.*?\)\.read_text\(\)\.strip\(\)\Z")
_STRIPPING = re.compile(r"write \.strip\(\) behind it\Z")

#: The remedy of white space around the value of a variable.
REMOVE_WHITE_SPACE = "remove it, also a carriage return at the end"


class Faults:
    """Collect the faults of settings.

    Attributes:
        texts: the text of each fault.
        variables: the environment variable of each setting that was read from one, for the error.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.variables: dict[str, str] = {}

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note a ConfigurationError, so that the next setting can be checked."""
        try:
            yield
        except ConfigurationError as error:
            self.texts.append(str(error))

    def leave_out(self, names: Iterable[str]) -> None:
        """Show the names of these settings unchanged, because they are not from variables."""
        for name in names:
            self.variables.pop(name, None)

    def raise_all(self) -> None:
        """Raise the noted faults.

        Raises:
            ConfigurationError: if faults were noted; the error names all of them.
        """
        if self.texts:
            texts = map(self._as_given, "; ".join(self.texts).split("; "))
            raise ConfigurationError("; ".join(texts))

    def _as_given(self, text: str) -> str:
        """Return the text of a fault with the names of variables instead of settings.

        The advice about a path that was given as a secret is for a variable, too.
        """
        names, must, rest = text.partition(" must ")
        if must and names in self.variables:
            variable = self.variables[names]
            named = f"set {variable}_FILE to the path of the file"
            rest = _READING.sub(
                "write the secret into the file" if variable.endswith("_FILE") else named, rest
            )
            rest = _STRIPPING.sub(REMOVE_WHITE_SPACE, rest)
        if must:
            names = re.sub(r"(?<![.\w])\w+", lambda match: self.variables.get(match[0], match[0]), names)
        return names + must + rest
