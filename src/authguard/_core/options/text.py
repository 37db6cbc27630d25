"""Check options that are text, names, flags, choices, lists and mappings."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from authguard._core.options.values import got, unwrapped
from authguard.errors import ConfigurationError


def check_text(
    value: object,
    option: str,
    *,
    pattern: re.Pattern[str] | None = None,
    must: str = "be text that is not empty",
    secret: bool = False,
) -> str:
    """Check a text that is not empty.

    Args:
        value: the text.
        option: the name of the option.
        pattern: the pattern that must match at its beginning; None for any text.
        must: the condition, for the error.
        secret: whether the text is a secret, which no error may show.

    Raises:
        ConfigurationError: if the type is wrong, or the text does not match.
    """
    if isinstance(value, str) and value and (pattern is None or pattern.match(value)):
        return value
    raise ConfigurationError(f"{option} must {must}, got {got(value, secret=secret)}{unwrapped(value)}")


#: The separators of several values in one text.
_SEPARATORS = re.compile(r"[\s,;]+")
_JSON = re.compile(r"\s*\[\s*[\"']")  # the address `[::1]` is none
_COMMAS = re.compile(r"\s*[,;]\s*")
_FIRST_OF_TEXTS = "\"'…"  # the first characters of an example that is text, and not an object

#: Text with the same quotes at both ends.
QUOTED = re.compile(r"\A([\"'`]).*\1\Z", re.DOTALL)

#: White space and `#`, with which a comment begins in a file of variables. Some readers of such files remove
#: the comment, and `docker run --env-file` does not.
COMMENT = re.compile(r"\A#\s|[^\S\r\n]#")


def several_names(text: str) -> list[str]:
    """Return the names in a text with commas or semicolons between them; a text that is one name has none.

    RFC 6749 section 3.3 allows a comma in a scope, but no scope or role is named so, other than a group in a
    directory: its name has `=` or spaces, as `CN=Admins,OU=Groups`.
    """
    if "=" in text or len(text.split()) > 1 or _COMMAS.search(text) is None:
        return []
    return [name for name in _COMMAS.split(text.strip()) if name]


def is_quoted(text: str) -> bool:
    """Return whether text has quotes around it, as a file of variables may leave them: `ISSUER="…"`."""
    return QUOTED.match(text) is not None


def check_identifier(value: object, option: str, *, must: str = "be text that is not empty") -> str:
    """Check a text that is compared exactly, such as an issuer: no white space and no quotes around it.

    With a line break from the end of a file, or quotes from a variable, each token would be refused.

    Args:
        value: the text.
        option: the name of the option.
        must: the condition, for the error.

    Raises:
        ConfigurationError: for anything else.
    """
    text = check_text(value, option, must=must)
    if text != text.strip():
        raise ConfigurationError(
            f"{option} must be without white space around it, got {got(text)}: write {text.strip()!r}"
        )
    if is_quoted(text):
        raise ConfigurationError(
            f"{option} must be without quotes around it, got {got(text)}: write {text[1:-1]!r}"
        )
    return text


def check_identifiers(values: object, option: str) -> tuple[str, ...]:
    """Check an option that takes one text as in `check_identifier`, or a list of them that is not empty.

    Raises:
        ConfigurationError: for anything else.
    """
    return tuple(check_identifier(text, option) for text in check_text_or_list(values, option))


def check_flag(value: object, option: str, must: str = "be True or False") -> bool:
    """Check an option that is True or False.

    Raises:
        ConfigurationError: if it is anything else, such as 1 or `"false"`.
    """
    if isinstance(value, bool):
        return value
    raise ConfigurationError(f"{option} must {must}, got {got(value)}")


def check_choice(value: object, option: str, choices: Iterable[str]) -> str:
    """Check an option that takes one of a few words.

    Raises:
        ConfigurationError: for anything else.
    """
    words = list(choices)
    if isinstance(value, str) and value in words:
        return value
    quoted = [f'"{word}"' for word in words]
    listed = " or ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))
    raise ConfigurationError(f"{option} must be {listed}, got {got(value)}")


def check_list(values: object, option: str, example: str = "…") -> list[Any]:
    """List the values of an option that takes several.

    Args:
        values: any iterable of them.
        option: the name of the option.
        example: a value, as it is written in Python.

    Raises:
        ConfigurationError: for text, a mapping, and anything that is not iterable.
    """
    if isinstance(values, (str, bytes, Mapping, type)) or not isinstance(values, Iterable):
        name = option.rpartition(": ")[2].partition(" ")[0]
        is_of_texts = example[0] in _FIRST_OF_TEXTS
        words = _words(values, name) if isinstance(values, str) and is_of_texts else []
        item = ", ".join(map(repr, words)) or example
        raise ConfigurationError(f"{option} must be a list, got {got(values)}: write {name}=[{item}]")
    return list(values)


def _words(text: str, name: str) -> list[str]:
    """Return the values in a text that stands for a list, as variables and other frameworks write it.

    A role may contain spaces, and the name of a directory's group commas: `CN=Admins,OU=Groups`.
    """
    if _JSON.match(text):
        text = re.sub(r"[\[\]\"']", "", text)
    if name.endswith("roles"):
        words = [text.strip()] if "=" in text else _COMMAS.split(text.strip())
    else:
        words = _SEPARATORS.split(text)
    return [word for word in words if any(map(str.isalnum, word))]


def check_text_list(values: object, option: str, example: str = "…") -> tuple[str, ...]:
    """Check a list of texts that are not empty, without white space around them; the list may be empty.

    White space is often left from text that was split at commas; such a text would match nothing.

    Args:
        values: any iterable of them.
        option: the name of the option.
        example: a text, as it is written in Python.

    Raises:
        ConfigurationError: for anything else.
    """
    texts = check_list(values, option, example)
    for text in texts:
        check_identifier(text, f"each of {option}")
    return tuple(texts)


def check_text_or_list(values: object, option: str, example: str = "…") -> tuple[str, ...]:
    """Check an option that takes one text, or a list of them that is not empty.

    Raises:
        ConfigurationError: for anything else.
    """
    if isinstance(values, str):
        return (check_text(values, option),)
    if advice := unwrapped(values):
        raise ConfigurationError(f"{option} must be text, or a list of texts, got {got(values)}{advice}")
    texts = check_text_list(values, option, example)
    if not texts:
        raise ConfigurationError(f"{option} must name at least one, got an empty list")
    return texts


def check_mapping(value: object, option: str, write: str) -> Mapping[Any, Any]:
    """Check an option that takes a mapping, whose values may be secrets.

    Args:
        value: the mapping.
        option: the name of the option.
        write: the spelling that works.

    Raises:
        ConfigurationError: for anything else.
    """
    if isinstance(value, Mapping):
        return value
    raise ConfigurationError(f"{option} must be a mapping, got {got(value, secret=True)}: write {write}")
