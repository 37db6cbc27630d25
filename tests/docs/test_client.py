"""The page about the client describes every option."""

import inspect
import re
from pathlib import Path

import pytest

from authguard.client import APIKeyAuth, BearerAuth

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("cls", [BearerAuth, APIKeyAuth])
def test_options_are_documented(cls: type) -> None:
    """The table of each class has a row for each option, and no other."""
    section = re.search(rf"^### `{cls.__name__}\(.*?(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None
    assert re.findall(r"^\| `(\w+)` \|", section[0], re.MULTILINE) == list(inspect.signature(cls).parameters)
