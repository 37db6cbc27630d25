"""docs/client.md describes each option of the client."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from authguard.client import APIKeyAuth, BearerAuth, rotate_api_key

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("cls", [BearerAuth, APIKeyAuth, rotate_api_key])
def test_options_are_documented(cls: Callable[..., object]) -> None:
    """The table of each class or function has a row for each option, and no other row."""
    section = re.search(rf"^### `{cls.__name__}\(.*?(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None
    assert re.findall(r"^\| `(\w+)` \|", section[0], re.MULTILINE) == list(inspect.signature(cls).parameters)
