"""The documentation site: its navigation, its links, its files for programs, and its build."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tools.site import dead, llms, markdown, pages
from tools.site.sources import DeadLinkError, Sources

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-docs" / "bin" / "python"
SNAPSHOT = Path(__file__).with_name("public_api.txt")


@pytest.fixture(name="sources", scope="module")
def _sources() -> Sources:
    return Sources()


def site(folder: Path, **files: str) -> Path:
    """Write the docs of a small repository, and return their folder."""
    docs = folder / "docs"
    (docs / "guides").mkdir(parents=True)
    (docs / "navigation.toml").write_text('[[section]]\ntitle = "Guides"\npages = ["guides/*", "login"]\n')
    for name, text in {"index": "# Home\n", **files}.items():
        (docs / f"{name.replace('__', '/')}.md").write_text(text)
    return docs


def test_each_page_has_a_place_in_the_navigation() -> None:
    """Each page is in a section of docs/navigation.toml."""
    assert pages.missing() == []


def test_no_page_stands_in_two_sections() -> None:
    """No page is in two sections."""
    places = [page.place for section in pages.sections() for page in section.pages]
    assert len(places) == len(set(places))


def test_a_page_of_no_section_is_named(tmp_path: Path) -> None:
    """`missing` returns the pages without a section."""
    docs = site(tmp_path, login="# Login\n", other="# Other\n")
    assert pages.missing(docs, tmp_path) == ["other.md"]


def test_a_new_page_of_a_folder_needs_no_line(tmp_path: Path) -> None:
    """`guides/*` includes each page of the folder."""
    docs = site(tmp_path, login="# Login\n", guides__nginx="# Behind nginx\n")
    (section,) = pages.sections(docs, tmp_path)
    assert [page.place for page in section.pages] == ["guides/nginx.md", "login.md"]


def test_a_link_to_no_file_is_refused(tmp_path: Path) -> None:
    """A link to a missing file is refused with the page and the link."""
    docs = site(tmp_path, login="# Login\n\nSee [that](gone.md).\n")
    with pytest.raises(DeadLinkError, match=r"docs/login\.md: gone\.md must be a file"):
        Sources(docs, tmp_path)


@pytest.mark.parametrize("target", ["#gone", "index.md#gone"])
def test_a_link_to_no_heading_is_refused(tmp_path: Path, target: str) -> None:
    """A link to a missing heading, on the same page or on another, is refused."""
    docs = site(tmp_path, login=f"# Login\n\nSee [that]({target}).\n")
    with pytest.raises(DeadLinkError, match="must be a heading"):
        Sources(docs, tmp_path)


def test_a_linked_file_becomes_a_page(tmp_path: Path) -> None:
    """A linked file of the code becomes a page of the site."""
    docs = site(tmp_path, login="# Login\n\nSee [that](../app.py).\n")
    (tmp_path / "app.py").write_text("x = 1\n")
    sources = Sources(docs, tmp_path)
    assert "[that](files/app.py.md)" in sources.texts["login.md"]
    assert sources.texts["files/app.py.md"] == "# `app.py`\n\n~~~~python\nx = 1\n~~~~\n"


def test_links_in_code_stay() -> None:
    """Text in code that looks like a link is unchanged."""
    text = "`[a](b)` [c](d)\n\n```md\n[e](f)\n```\n"
    assert markdown.replace_links(text, lambda target: f"x/{target}") == text.replace("(d)", "(x/d)")


def test_anchors_are_those_of_github() -> None:
    """Anchors have hyphens, no punctuation, and a number for a repeated heading."""
    text = "# A `b(c, …)`\n\n```\n# no heading\n```\n## Why? Well\n## Why? Well\n"
    assert markdown.anchors(text) == ["a-bc-", "why-well", "why-well-1"]


def test_each_public_name_is_in_llms_full(sources: Sources) -> None:
    """llms-full.txt has each name of the public API."""
    words = set(re.findall(r"[\w.]+", llms.full(sources)))
    lines = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    names = [re.match(r"(?:class |def )?([\w.]+)", line)[1] for line in lines]  # type: ignore[index]
    assert len(names) > 100
    assert [name for name in names if name not in words] == []


def test_llms_lists_each_page() -> None:
    """llms.txt lists each page with its title, the path of its Markdown and its first sentence."""
    listed = re.findall(r"^- \[[^\n]+\]\((\S+\.md)\): \S", llms.index(), re.MULTILINE)
    assert listed == [page.place for section in pages.sections() for page in section.pages]


def test_what_a_browser_would_load_from_elsewhere_is_found(tmp_path: Path) -> None:
    """Scripts, styles, pictures and fonts of another site are reported, and links to it are not."""
    (tmp_path / "page.html").write_text(
        '<script src="https://a.example/x.js"></script><a href="https://b.example">b</a>'
        '<img src="//c.example/y.png">'
    )
    (tmp_path / "style.css").write_text("@font-face{src:url(https://d.example/z.woff2)}")
    assert dead.problems(tmp_path) == [
        "page.html loads https://a.example/x.js",
        "page.html loads //c.example/y.png",
        "style.css loads https://d.example/z.woff2",
    ]


def test_dead_links_of_the_site_are_found(tmp_path: Path) -> None:
    """Links to missing pages and anchors are reported."""
    (tmp_path / "a.html").write_text('<p id="x"><a href="b.html">b</a><a href="#x">x</a><a href="#y">y</a>')
    assert dead.problems(tmp_path) == [
        "a.html links b.html, which does not exist",
        "a.html links #y, which has no such anchor",
    ]


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """The site builds without a warning, and has no dead link and no file of another site."""
    if not PYTHON.exists():
        if os.environ.get("CI"):
            pytest.fail("no .venv-docs, which CI must have: make docs")
        pytest.skip("no .venv-docs: make docs")
    built = subprocess.run(
        [PYTHON, "-m", "tools.site", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert (built.returncode, built.stderr.strip()) == (0, "")
    for name in ("index.html", "index.md", "llms.txt", "llms-full.txt", "reference/errors.md"):
        assert (tmp_path / "html" / name).is_file()
