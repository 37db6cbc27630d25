"""Compare examples/authguard.toml with the settings; run as a program, this file writes it again."""

import inspect
import json
import re
import textwrap
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from authguard.identity import Settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "authguard.toml"
#: Examples for settings that are required, or that have no default.
SHOWN = {
    "secret": "32 random bytes or more: better in a file that AUTHGUARD_SECRET_FILE names",
    "issuer": "https://auth.example.com",
    "audience": "https://api.example.com",
    "access_token_typ": "at+jwt",
    "revocations_url": "redis://127.0.0.1:6379/0",
    "smtp_url": "smtp+starttls://user:password@mail.example.com:587",
    "mail_from": "accounts@example.com",
}
_HEAD = """\
# All settings of the identity service, with their defaults. A line that begins with `#` and a name shows an
# example for a setting without a default. `authguard serve --config authguard.toml` reads this file.
# Variables such as AUTHGUARD_ISSUER have priority. Times are in seconds. docs/identity.md describes each
# setting.
"""


def described() -> dict[str, str]:
    """Return the description of each setting, from the docstring of `Settings`."""
    text = inspect.cleandoc(Settings.__doc__ or "").partition("Args:")[2].partition("Raises:")[0]
    matches = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", text, re.MULTILINE)
    return {name: " ".join(words.split()).replace("None for", "leave it out for") for name, words in matches}


def example() -> str:
    """Return the example."""
    texts, blocks = described(), [_HEAD]
    for setting in fields(Settings):
        words = texts[setting.name]
        comment = textwrap.fill(f"{words[0].upper()}{words[1:]}", 108)
        default: Any = setting.default
        if default is MISSING and setting.default_factory is not MISSING:
            default = setting.default_factory()
        is_set = setting.name not in SHOWN
        value = _as_toml(default) if is_set else json.dumps(SHOWN[setting.name])
        line = f"{'' if is_set else '#'}{setting.name} = {value}"
        blocks.append(f"{textwrap.indent(comment, '# ')}\n{line}\n")
    return "\n".join(blocks)


def _as_toml(value: Any) -> str:
    """Return a value as TOML, which is the same as JSON for the values of settings."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def test_the_example_has_each_setting() -> None:
    """The example is that of the settings; `python tests/docs/test_settings_example.py` writes it again."""
    assert EXAMPLE.read_text(encoding="utf-8") == example()
    names = re.findall(r"^#?(\w+) = ", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert names == [setting.name for setting in fields(Settings)]


def test_the_example_changes_nothing() -> None:
    """With a secret and an issuer the example loads as the default settings."""
    given = {"secret": "t3st-0nly-Secret-of-enough-bytes-5Kp2", "issuer": "https://auth.example.com"}
    assert Settings.from_toml(str(EXAMPLE), **given) == Settings(**given)


def test_each_line_of_the_example_can_be_used(tmp_path: Path) -> None:
    """The example is valid TOML with all its commented lines, and can be loaded."""
    text = re.sub(r"^#(\w+ = )", r"\1", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    path = tmp_path / "authguard.toml"
    path.write_text(text, encoding="utf-8")
    result = Settings.from_toml(str(path), secret="t3st-0nly-Secret-of-enough-bytes-5Kp2")
    assert result.mail_from == tomllib.loads(text)["mail_from"] == SHOWN["mail_from"]


if __name__ == "__main__":
    EXAMPLE.write_text(example(), encoding="utf-8")
