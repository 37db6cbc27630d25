"""Compare docs/settings.md with the settings; run as a program, this file writes it again."""

import sys
from dataclasses import fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from authguard.identity import Settings
from docs.test_settings_example import example

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
_HEAD = """\
# Settings by variable and by TOML

Look up the variable of each setting of the identity service, and its line in the TOML file that
`AUTHGUARD_CONFIG` names. [The identity service](identity.md#settings) describes each setting. A variable has
priority over the file. In a variable, the values of a list are separated by commas. A setting marked with
`FILE` may also be in a file of its own: the variable with `_FILE` at its end is the path of this file.

`python tests/docs/test_settings_page.py` writes this page.

| setting | variable | line of TOML |
|---|---|---|
"""


def page() -> str:
    """Return the page."""
    lines = {line.lstrip("#").partition(" = ")[0]: line for line in example().splitlines() if " = " in line}
    rows = []
    for setting in fields(Settings):
        variable = f"`AUTHGUARD_{setting.name.upper()}`" + ("" if setting.repr else ", `FILE`")
        rows.append(f"| `{setting.name}` | {variable} | `{lines[setting.name].lstrip('#')}` |")
    return _HEAD + "\n".join(rows) + "\n"


def test_the_page_has_each_setting() -> None:
    """The page is that of the settings; `python tests/docs/test_settings_page.py` writes it again."""
    assert PAGE.read_text(encoding="utf-8") == page()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
