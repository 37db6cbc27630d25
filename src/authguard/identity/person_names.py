"""Check names of people and of API keys, in all languages."""

from authguard._characters import JOINERS, is_hidden, is_plain
from authguard.identity.model import MAX_NAME


def is_name(text: str) -> bool:
    """Return whether a text may be a name after `trim_name`; an empty text may."""
    return len(text) <= MAX_NAME and all(is_plain(each) or is_hidden(each) for each in text)


def trim_name(text: str) -> str:
    """Return a name without hidden characters and the spaces around it; empty if nothing is visible."""
    visible = "".join(each for each in text if not is_hidden(each)).strip()
    return visible if visible.strip(JOINERS).strip() else ""


def usable_name(text: str) -> str:
    """Return the part of an external name that may be stored."""
    return trim_name("".join(filter(is_plain, text[: 4 * MAX_NAME]))[:MAX_NAME])
