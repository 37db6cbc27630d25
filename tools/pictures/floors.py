"""Draw the floors of the package, the core and the identity service, as pyproject.toml defines them."""

import tomllib
from pathlib import Path

from tools.pictures.svg import Drawing

ROOT = Path(__file__).parents[2]
_WIDTH, _ROW = 720, 36
# The distances between floors, and between the parts of one floor.
_GAP, _INSIDE = 12, 4
_LONGEST_ROW = 75
# By the name of the contract: the file, the title, and the text of the picture besides the floors.
_PICTURES = {
    "Layers: each imports only what is below it": ("floors.svg", "The floors of the package"),
    "Floors of the core: no part imports one above or beside it": (
        "floors-core.svg",
        "The floors of `authguard._core`",
    ),
    "Floors of the identity service: no part imports one above or beside it": (
        "floors-identity.svg",
        "The floors of `authguard.identity`",
    ),
}


def contracts() -> dict[str, list[list[str]]]:
    """Return the parts of each floor, from the top to the ground, by the name of the contract."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    return {
        contract["name"]: [
            [part.strip().removeprefix("authguard.") for part in floor.split("|")]
            for floor in contract["layers"]
        ]
        for contract in listed
        if contract["type"] == "layers"
    }


def pictures() -> dict[str, bytes]:
    """Return a picture for each of the contracts above."""
    floors = contracts()
    return {file: _draw(title, floors[name]) for name, (file, title) in _PICTURES.items()}


def _draw(title: str, floors: list[list[str]]) -> bytes:
    rows = [(row, number > 0) for parts in floors for number, row in enumerate(_rows(parts))]
    height = 66 + sum(_ROW + (_INSIDE if is_more else _GAP) for _, is_more in rows) + 16
    words = "; ".join(", ".join(parts) for parts in floors)
    drawing = Drawing(_WIDTH, height, title.replace("`", ""), f"From the top to the ground: {words}.")
    drawing.text(_WIDTH / 2, 32, title, size=16, weight="600")
    law = "Each part imports only from floors below its own; `lint-imports` checks it."
    drawing.text(_WIDTH / 2, 52, law, size=12, kind="small")
    y = 66 - _GAP
    for parts, is_more in rows:
        y += _INSIDE if is_more else _GAP
        free = _WIDTH - 48 - (len(parts) - 1) * _INSIDE
        x = 24.0
        for part in parts:
            width = free * _weight(part) / sum(map(_weight, parts))
            drawing.box(
                x, y, width, _ROW, f"`{part}`", kind="accent" if len(parts) == 1 and not is_more else "box"
            )
            x += width + _INSIDE
        y += _ROW
    return drawing.render()


def _rows(parts: list[str]) -> list[list[str]]:
    """Return the parts of a floor in rows that are short enough to be read."""
    rows: list[list[str]] = [[]]
    for part in parts:
        if sum(map(_weight, [*rows[-1], part])) > _LONGEST_ROW:
            rows.append([])
        rows[-1].append(part)
    return rows


def _weight(part: str) -> int:
    """Return the relative width of a part: the longest name needs most."""
    return len(part) + 4
