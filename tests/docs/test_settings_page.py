"""Hold docs/settings.md to the settings; run as a program, this file writes it anew."""

import sys
from dataclasses import fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from authguard.identity import Settings
from docs.test_settings_example import example

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
_HEAD = """\
# Settings by variable and by TOML

Each setting of the identity service with its variable, and its line in the file that `AUTHGUARD_CONFIG`
names. A setting marked with `FILE` may also be in a file, whose path is in the variable with `_FILE` at
its end. Variables come before the file. Lists are written with commas in variables. What each setting
does stands in [identity.md](identity.md#settings). This page is written by `python
tests/docs/test_settings_page.py`.

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
    """It is what the settings say; write it anew by `python tests/docs/test_settings_page.py`."""
    assert PAGE.read_text(encoding="utf-8") == page()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
