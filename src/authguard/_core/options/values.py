"""Format the value of an option for an error: with its type, shortened, and never if it may be a secret."""

from enum import Enum

MAX_SHOWN = 60  # characters
_MAX_BITS = 128


def got(value: object, *, secret: bool = False, numeric: bool = False) -> str:
    """Return how an error shows the value of an option, such as `'300' (str)`.

    Text, numbers, times and lists of them are shown. Of other objects only the type is shown, because their
    contents may be secret. The part before an `@` in a URL may be a password, and the values of its
    query may be keys: they are left out.

    Args:
        value: the value.
        secret: whether the option takes a secret, so that only the type is shown.
        numeric: whether the option takes a number, so that a number is shown without its type.
    """
    if value is None:
        return "None"
    text = None if secret else _text_of(value)
    if text is None:
        return type_of(value)
    if len(text) > MAX_SHOWN:
        text = text[: MAX_SHOWN - 1] + "…"
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return text if numeric and is_number else f"{text} ({type(value).__name__})"


def type_of(value: object) -> str:
    """Return the name of the type of a value, for an error that must not show the value itself."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def unwrapped(value: object) -> str:
    """Return the advice for a value that holds text or bytes, such as a `SecretStr`; empty for any other."""
    kind = type(value)
    if callable(getattr(kind, "get_secret_value", None)):
        return ": write .get_secret_value() behind it"
    if isinstance(value, Enum):
        return ": write .value behind it"
    if isinstance(value, (bytearray, memoryview)):
        return ": write bytes(…) around it"
    if callable(getattr(kind, "render_as_string", None)):  # of SQLAlchemy, whose text has no password
        return ": write .render_as_string(hide_password=False) behind it"
    # The classes for URLs of Pydantic, httpx and yarl. That of Pydantic adds a slash to a host.
    return ": write str(…) around it, without a slash that the class has added" if _is_url(kind) else ""


def _is_url(kind: type) -> bool:
    names = {"URL", "AnyUrl", "_BaseUrl", "Url", "_BaseMultiHostUrl", "MultiHostUrl"}
    return any(base.__name__ in names for base in kind.__mro__)


def shown_url(url: str) -> str:
    """Return a URL for logs and errors, without the values of its query, which may be keys."""
    before, mark, query = url.partition("?")
    names = [name + mark for name, mark, _ in (part.partition("=") for part in query.split("&")) if mark]
    return before + mark + ("…" if query and not names else "&".join(f"{name}…" for name in names))


def _text_of(value: object) -> str | None:
    """Return the text of a value that can be shown."""
    if isinstance(value, str):
        value = shown_url(value) if "://" in value else value
        return repr(value.rpartition("@")[2] if ":" in value else value)
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [_text_of(item) for item in value]
        return None if None in items else f"[{', '.join(map(str, items))}]"
    if isinstance(value, int):
        return repr(value) if value.bit_length() <= _MAX_BITS else None
    if value is None or isinstance(value, float):
        return repr(value)
    # Durations and moments are recognised by their methods, because the core does not import their module.
    is_time = any(callable(getattr(value, name, None)) for name in ("total_seconds", "isoformat"))
    return str(value) if is_time and not isinstance(value, type) else None
