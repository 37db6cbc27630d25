"""Parse the text of a variable or an argument that has several values."""

import re

from authguard.errors import ConfigurationError

SEPARATOR = re.compile("[,;]")


def read_named_values(text: str, option: str, example: str) -> dict[str, str]:
    """Return the values of a text such as `login=10/900,mail=3/900`, by name.

    Args:
        text: the names and values.
        option: the setting.
        example: a text in the right format.

    Raises:
        ConfigurationError: if a part is not a name with a value, or a name occurs twice.
    """
    values: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals or name in values:
            raise ConfigurationError(f"{option} must be as in {example}, each once, got {part!r}")
        values[name] = value
    return values
