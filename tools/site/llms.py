"""Write the files for programs: each page as Markdown, `llms.txt` with the list, `llms-full.txt` with all."""

import shutil
from pathlib import Path

from tools.site.pages import DOCS, ROOT, sections
from tools.site.sources import Sources

_SUMMARY = (
    "authguard authenticates each request before it reaches a Python web application, over "
    "ASGI and WSGI: JSON Web Tokens, API keys, session cookies and opaque tokens. Its identity service has "
    "accounts, sign-in pages and API keys."
)


def index(docs: Path = DOCS, root: Path = ROOT) -> str:
    """Return `llms.txt`: the title, a summary, and the pages by section (llmstxt.org)."""
    parts = [f"# authguard\n\n> {_SUMMARY}\n"]
    for section in sections(docs, root):
        rows = [f"- [{page.title}]({page.place}): {page.summary}" for page in section.pages]
        parts.append(f"## {section.title}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def full(sources: Sources) -> str:
    """Return `llms-full.txt`: all pages of the navigation, in its order, each after a line with its path."""
    places = ["index.md", *(page.place for section in sources.listed for page in section.pages)]
    return "\n".join(f"<!-- {place} -->\n\n{sources.texts[place].strip()}\n" for place in places)


def write(sources: Sources, folder: Path) -> None:
    """Write the files into the built site."""
    (folder / "llms.txt").write_text(index(), encoding="utf-8")
    (folder / "llms-full.txt").write_text(full(sources), encoding="utf-8")
    for place, text in sources.texts.items():
        (folder / place).write_text(text, encoding="utf-8")
    for place, file in sources.pictures.items():  # Sphinx writes them into a folder of its own
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / place)
