"""Say on each page how it was verified: what was executed, asserted, compared, and tried elsewhere.

The build knows what it executed, and the record in the repository which claims held in worlds that
nobody had looked at (`unseen_worlds.py`). What nbval compared is known when the page has long been
written; `python book/_ext/verified.py`, run after the comparison, fills it in.
"""

import json
import re
import sys
from pathlib import Path

from bs4 import BeautifulSoup
from nbformat import NotebookNode
from sphinx.application import Sphinx

from claims import claims
from opening import counted
from take_away import executed_page
from unseen_worlds import RECORD, load
from written import write_text

APPENDIX = "book/appendices/c-verification"
OPEN = "not yet compared with a second run"
SPAN = re.compile(r'(<span class="second-run">)([^<]*)(</span>)')


def first_run(notebook: NotebookNode, seconds: float, made_from: str) -> str:
    """Return what the build knows of a page."""
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    ran = f"{counted(cells, 'cell')} executed in {counted(seconds, 'second')}"
    n = len(claims(notebook))
    held = f"{counted(n, 'claim')} asserted; " if n else ""
    return f"{ran} from commit {made_from}; {held}"


def elsewhere(names: list[str], recorded: dict[str, list[str]]) -> str:
    """Return how many of a page's claims held in unseen worlds, by the record of its page."""
    held = sum(name in recorded.get("held", ()) for name in names)
    failed = sum(name in recorded.get("failed", ()) for name in names)
    untried = len(names) - held - failed
    rest = f" ({untried} not yet tried there)" if untried else ""
    return f"{held} of {counted(len(names), 'claim')} held in unseen worlds{rest}"


def second_run(counts: dict[str, int]) -> str:
    """Return what the comparison with the second run found equal."""
    timing = counts["timing"]
    measure = "measures" if timing == 1 else "measure"
    times = f"; {counted(timing, 'cell')} {measure} time, which differs" if timing else ""
    cells, numbers = counted(counts["compared"], "cell"), counted(counts["numbers"], "number")
    return f"outputs of {cells} and {numbers} in the text reproduced by a second run{times}"


def add_line(app: Sphinx, pagename: str, page: BeautifulSoup) -> None:
    """Put the line below the title, or the opening, of a page with executed cells."""
    notebook = executed_page(app, pagename)
    if notebook is None:
        return
    ran = app.env.nb_metadata[pagename]["exec_data"]
    line = page.new_tag("p", attrs={"class": "verified"})
    line.append("Verified: " + first_run(notebook, ran["runtime"], ran.get("made_from", "unknown")))
    line.append(page.new_tag("span", attrs={"class": "second-run"}))
    line.span.string = OPEN
    if names := claims(notebook):
        recorded = load(RECORD).get("pages", {}).get(pagename, {})
        line.append(f"; {elsewhere(names, recorded)}")
    line.append(". ")
    if APPENDIX in app.env.found_docs:
        line.append(page.new_tag("a", href=app.builder.get_relative_uri(pagename, APPENDIX)))
        line.a.string = "How this book is verified"
    opening = page.article.select_one("dl.opening")
    (page.article.h1 if opening is None else opening).insert_after(line)


def stamp(html: Path, counts: dict[str, dict[str, int]]) -> None:
    """Fill in what was compared, for every page that the comparison counted."""
    stamped = {}
    for name, found in counts.items():
        path = html / f"{name}.html"
        text = path.read_text("utf-8") if path.exists() else ""
        stamped[path], n = SPAN.subn(rf"\g<1>{second_run(found)}\g<3>", text)
        if n != 1:
            raise ValueError(f"{path}: {n} places for the comparison, expected one")
    for path, text in stamped.items():
        write_text(path, text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the line with Sphinx."""
    app.connect("page-finished", add_line)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    build = Path(sys.argv[1])
    stamp(build / "html", json.loads((build / "second-run.json").read_text("utf-8")))
