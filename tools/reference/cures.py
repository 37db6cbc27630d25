"""Read cures.toml: the condition and the remedy of each error code."""

import tomllib
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """Hold the condition and the remedy of a code."""

    when: str
    cure: str


_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _entries(name: str) -> dict[str, Entry]:
    return {code: Entry(**entry) for code, entry in _DATA[name].items()}


#: The entries for answers of the guard, of the identity service and of the OAuth endpoints, by code.
GUARD, IDENTITY, OAUTH = _entries("guard"), _entries("identity"), _entries("oauth")
#: The remedy for an invalid credential, by its cause.
CAUSES: dict[str, str] = _DATA["causes"]
