"""The block of docs/tokens.md runs, and its tables are those of the code."""

import re
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from authguard._core.jose.token_kind import FOREIGN_CLAIMS, KIND_CLAIMS, OTHER_KINDS

TEXT = (Path(__file__).parents[2] / "docs" / "tokens.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
MARKS = {
    row[0]: row[1]
    for row in re.findall(r"^\| (.+?) \| (.+?) \|$", TEXT.partition("| mark |")[2], re.MULTILINE)
}


def test_the_block_is_an_application_that_refuses_nobody() -> None:
    """The block builds an application without a request, and an invalid token in the field is a 401."""
    namespace: dict[str, Any] = {"__name__": "tokens"}
    exec(compile(BLOCK, "tokens.md", "exec"), namespace)
    client = TestClient(namespace["app"])
    assert client.get("/").status_code == 401
    assert client.get("/", headers={"X-Goog-IAP-JWT-Assertion": "a.b.c"}).status_code == 401
    two = {"X-Goog-IAP-JWT-Assertion": "a.b.c", "Authorization": "Bearer a.b.c"}
    assert client.get("/", headers=two).status_code == 400


def test_the_table_has_each_word_that_marks_another_kind() -> None:
    """The table has the words of the code that mark another kind of token, and its claims."""
    row = next(name for name in MARKS if "among the claims" in name)
    assert re.findall(r"`(\w+)`", row) == list(KIND_CLAIMS)
    assert set(re.findall(r"`(\w+)`", MARKS[row].partition("; in any case")[0])) == OTHER_KINDS
    assert set(FOREIGN_CLAIMS) <= set(re.findall(r"`(\w+)`", " ".join(MARKS)))
