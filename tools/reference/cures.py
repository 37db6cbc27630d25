"""Read cures.toml: for each error code when it is the answer, and what to do about it."""

import tomllib
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """Hold what is said of a code."""

    when: str
    cure: str


_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _entries(name: str) -> dict[str, Entry]:
    return {code: Entry(**entry) for code, entry in _DATA[name].items()}


#: Of answers of the guard, of the identity service and of the OAuth endpoints, by code.
GUARD, IDENTITY, OAUTH = _entries("guard"), _entries("identity"), _entries("oauth")
#: What to do about a bad credential, by its cause.
CAUSES: dict[str, str] = _DATA["causes"]
