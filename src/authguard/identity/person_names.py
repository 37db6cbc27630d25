"""Check names of people and of API keys: those of all languages."""

from authguard._characters import JOINERS, is_plain
from authguard.identity.model import MAX_NAME


def is_name(text: str) -> bool:
    """Return whether a text may be stored as a name; an empty one may."""
    return len(text) <= MAX_NAME and all(map(is_plain, text))


def trim_name(text: str) -> str:
    """Return a name without the spaces around it; empty if there is nothing to see in it."""
    return text.strip() if text.strip().strip(JOINERS).strip() else ""


def usable_name(text: str) -> str:
    """Return what may be stored of a name that comes from elsewhere."""
    return trim_name("".join(filter(is_plain, text[: 4 * MAX_NAME]))[:MAX_NAME])
