"""Let the reader take each page away: its executed notebook, its source, the book as PDF.

The notebook is the one that the build executed, so its outputs are those of the page. Its text is
the page's own, as plain Markdown (`plain_markdown`), because only the build knows what numbers and
references stand there.
"""

from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup
from docutils import nodes
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from pdf_edition import PDF_LABEL, PDF_NAME, PDF_TOOLTIP
from plain_markdown import CodeCell, led_from, pieces
from surroundings import ROOT
from written import write_text

FOLDER = "_notebooks"
RECORDS = "book/*/settings.json"  # which pages of the same folder read
NOTE = """\
*The executed notebook of a page of* {book}. *Its cells run where `recsys`, the package of the
book, is installed.*
"""


def executed_folder(app: Sphinx) -> Path:
    """Return the folder in which the build keeps what it executed."""
    return Path(app.outdir).parent / "jupyter_execute"


def executed_page(app: Sphinx, pagename: str) -> NotebookNode | None:
    """Return the executed notebook of a page, or None where the page has no cells."""
    path = executed_folder(app) / f"{pagename}.ipynb"
    if not path.exists():
        return None
    notebook = nbformat.read(path, as_version=4)
    return notebook if any(cell.cell_type == "code" for cell in notebook.cells) else None


def with_plain_text(notebook: NotebookNode, text: list[str | CodeCell], note: str) -> NotebookNode:
    """Return the notebook with other text between its code cells.

    Parameters
    ----------
    notebook
        The executed page. Its cells tagged ``remove-cell`` have no place in the text; each follows
        the cell that is before it in the page.
    text
        The page's text with the places of its other code cells.
    note
        What stands before all of it.
    """
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    is_shown = ["remove-cell" not in cell.metadata.get("tags", []) for cell in cells]
    places = sum(isinstance(piece, CodeCell) for piece in text)
    if places != sum(is_shown):
        raise ValueError(f"text: {places} places of code cells, expected {sum(is_shown)}")
    made, waiting = [new_markdown_cell(note)], list(zip(cells, is_shown, strict=True))

    def take_hidden() -> None:
        while waiting and not waiting[0][1]:
            made.append(waiting.pop(0)[0])

    for piece in text:
        if isinstance(piece, str):
            made.append(new_markdown_cell(piece))
            continue
        take_hidden()
        made.append(waiting.pop(0)[0])
        if piece.caption:
            made.append(new_markdown_cell(piece.caption))
        take_hidden()
    take_hidden()
    for n, cell in enumerate(made):
        cell.id = f"cell-{n}"  # the same in every build
    return NotebookNode(notebook | {"cells": made})


def write_notebook(app: Sphinx, pagename: str, page: BeautifulSoup) -> None:
    """Put the executed notebook of a page with cells into the site."""
    notebook = executed_page(app, pagename)
    if notebook is None:
        return
    up = "../" * (pagename.count("/") + 1)
    here = Path(app.builder.get_outfilename(pagename)).relative_to(app.outdir).as_posix()
    text = pieces(page.article, led_from(here, app.config.html_baseurl or up))
    try:
        plain = with_plain_text(notebook, text, NOTE.format(book=app.config.project))
    except ValueError as error:
        raise ExtensionError(f"{pagename}: {error}") from error
    write_text(Path(app.outdir) / FOLDER / f"{pagename}.ipynb", nbformat.writes(plain) + "\n")


def bring_records(app: Sphinx, error: Exception | None) -> None:
    """Put the records of searches beside the executed notebooks, which run there once more.

    And beside those that readers take away.
    """
    if error is not None:
        return
    for place in sorted(ROOT.glob(RECORDS)):
        for folder in (executed_folder(app), Path(app.outdir) / FOLDER):
            write_text(folder / place.relative_to(ROOT), place.read_text("utf-8"))


def button(label: str, url: str, text: str, tooltip: str, icon: str) -> dict[str, str]:
    """Return a button of the theme's menu that leads to a file."""
    return {
        "type": "link",
        "label": f"download-{label}-button",
        "url": url,
        "text": text,
        "tooltip": tooltip,
        "icon": f"fas fa-{icon}",
    }


def offer_downloads(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Fill the menu of downloads at the top of a page."""
    menus = [b for b in context.get("header_buttons", []) if b["label"] == "download-buttons"]
    to = context["pathto"]
    for menu in menus:
        offers = []
        if executed_page(app, pagename):
            notebook = to(f"{FOLDER}/{pagename}.ipynb", 1)
            about = "This page as an executed notebook"
            offers.append(button("notebook", notebook, "Notebook (.ipynb)", about, "code"))
        source = to(f"_sources/{context['sourcename']}", 1)
        about = "This page's source, in MyST Markdown"
        offers.append(button("source", source, "Source (.md)", about, "file"))
        if app.why_not_printed is None:
            offers.append(button("book", to(PDF_NAME, 1), PDF_LABEL, PDF_TOOLTIP, "file-pdf"))
        [paper] = [b for b in menu["buttons"] if b["label"] == "download-pdf-button"]
        about = "Print this page"
        offers.append(paper | {"text": about, "tooltip": about, "icon": "fas fa-print"})
        menu["buttons"] = offers


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the notebooks and the buttons with Sphinx."""
    app.connect("page-finished", write_notebook, priority=50)  # before the page is touched up
    app.connect("build-finished", bring_records)
    app.connect("html-page-context", offer_downloads, priority=900)  # after the theme's buttons
    return {"parallel_read_safe": True, "parallel_write_safe": True}
