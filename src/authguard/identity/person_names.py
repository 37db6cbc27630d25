"""Check names of people and of API keys, in all languages."""

from authguard._characters import JOINERS, is_plain
from authguard.identity.model import MAX_NAME


def is_name(text: str) -> bool:
    """Return whether a text may be stored as a name; an empty text may."""
    return len(text) <= MAX_NAME and all(map(is_plain, text))


def trim_name(text: str) -> str:
    """Return a name without the spaces around it; empty if it has no visible characters."""
    return text.strip() if text.strip().strip(JOINERS).strip() else ""


def usable_name(text: str) -> str:
    """Return the part of an external name that may be stored."""
    return trim_name("".join(filter(is_plain, text[: 4 * MAX_NAME]))[:MAX_NAME])
