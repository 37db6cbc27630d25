"""Build the site into build/site, or a folder: `python -m tools.site [FOLDER]`; fails if a link is dead."""

import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

from tools.site import dead, llms, pages
from tools.site.sources import DeadLinkError, Sources


def main(folder: Path) -> int:
    """Write the sources, run Sphinx, write the files for programs, and check the links.

    Returns:
        the exit status: 1 if Sphinx warns, a page has no place, or a link is dead.
    """
    try:
        sources = Sources()
    except DeadLinkError as error:
        print(error, file=sys.stderr)
        return 1
    for name in pages.missing():
        print(f"docs/{name} must have a place in docs/navigation.toml", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    sources.write(folder / "source")
    options = ["-b", "html", "-q", "-W", "--keep-going", "-j", "auto", "-c", str(Path(__file__).parent)]
    status: int = sphinx(
        [*options, "-d", str(folder / "doctrees"), str(folder / "source"), str(folder / "html")]
    )
    if status:
        return status
    llms.write(sources, folder / "html")
    problems = dead.problems(folder / "html")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(sources.texts)} pages in {folder / 'html'}; open index.html")
    return 1 if problems or pages.missing() else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else pages.ROOT / "build" / "site"))
