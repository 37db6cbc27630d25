"""A new user with README.md or docs/start.md and the wheel gets 401 and 200 within three minutes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.first_hour import EXPECTED, MAX_SECONDS, applications, build_wheel, follow

pytestmark = pytest.mark.slow
PAGES = {"README.md": ["FastAPI", "Flask"], "docs/start.md": ["FastAPI", "Flask", "Starlette"]}


@pytest.fixture(name="wheel", scope="module")
def _wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Build the wheel once."""
    yield build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.mark.parametrize("page", PAGES)
def test_each_application_is_followed(page: str) -> None:
    """Each application of a page is tested below."""
    assert list(applications(page)) == PAGES[page]


@pytest.mark.parametrize(("page", "heading"), [(page, name) for page in PAGES for name in PAGES[page]])
def test_the_first_answers(page: str, heading: str, wheel: Path, tmp_path: Path) -> None:
    """The commands of the page get a 401 without a token, and a 200 with it."""
    hour = follow(applications(page)[heading], wheel, tmp_path)
    assert hour.statuses == EXPECTED, hour.output
    assert hour.seconds < MAX_SECONDS
