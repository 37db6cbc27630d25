"""Decide which characters may be displayed.

Those of all languages, except invisible and control characters.
"""

import unicodedata

#: Zero width non-joiner and joiner: Persian and Indic names need them, and so do many emoji. Other characters
#: without a width, such as marks of direction, can make a text look like another.
JOINERS = "\u200c\u200d"

#: These reverse the order of visible characters, which only a text that deceives needs.
_OVERRIDES = "\u202d\u202e"


def is_plain(character: str) -> bool:
    """Return whether a character is visible, is a space of any script, or joins others."""
    return character.isprintable() or character in JOINERS or unicodedata.category(character) == "Zs"


def is_hidden(character: str) -> bool:
    """Return whether a character is invisible, and may be removed from a text.

    Programs add such characters, such as marks of direction, without the knowledge of the writer.
    """
    return unicodedata.category(character) == "Cf" and character not in JOINERS + _OVERRIDES
