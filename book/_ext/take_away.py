"""Let the reader take each page away: its executed notebook, its source, the book as PDF.

The notebook is the one that the build executed, so its outputs are those of the page. In its text
the glued numbers stand where the source has their names, because only the build knows them.
"""

import json
import re
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from nbformat import NotebookNode
from sphinx.application import Sphinx

from opening import LABELS
from pdf_edition import PDF_LABEL, PDF_NAME, PDF_TOOLTIP, edition_available

FOLDER = "_notebooks"
OPENING = re.compile(r"^```\{opening\}\n(.*?)\n\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
GLUED = re.compile(r"\{glue:text\}`([^`:]+)(?::([^`]*))?`")
NOTE = """\
*The executed notebook of a page of* {book}. *Its cells run where `recsys`, the package of the
book, is installed. The text is MyST Markdown: JupyterLab shows results, figures and references as
the site does once `jupyterlab-myst` is installed.*
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


def with_numbers(text: str, glued: dict[str, Any]) -> str:
    """Return the text with each glued number where its name stood."""

    def number(match: re.Match[str]) -> str:
        key, form = match.groups()
        value = glued[key]["data"]["text/plain"]
        return format(float(value), form) if form else value.strip("'")

    return GLUED.sub(number, text)


def with_opening(text: str) -> str:
    """Return the text with the page's opening as any reader of notebooks shows it."""
    question, outcome = LABELS[:2]
    return OPENING.sub(rf"**{question}:** \1\n\n**{outcome}:** \2", text)


def copy_notebooks(app: Sphinx, error: Exception | None) -> None:
    """Put the executed notebook of every page with cells into the site."""
    if error is not None or app.builder.format != "html":
        return
    for pagename in app.env.found_docs:
        notebook = executed_page(app, pagename)
        if notebook is None:
            continue
        numbers = executed_folder(app) / f"{pagename}.glue.json"
        glued = json.loads(numbers.read_text("utf-8")) if numbers.exists() else {}
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = with_opening(with_numbers(cell.source, glued))
        note = nbformat.v4.new_markdown_cell(NOTE.format(book=app.config.project), id="note")
        notebook.cells.insert(0, note)
        target = Path(app.outdir) / FOLDER / f"{pagename}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)


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
    up = "../" * pagename.count("/")
    for menu in menus:
        offers = []
        if executed_page(app, pagename):
            notebook = f"{up}{FOLDER}/{pagename}.ipynb"
            about = "This page as an executed notebook"
            offers.append(button("notebook", notebook, "Notebook (.ipynb)", about, "code"))
        source = f"{up}_sources/{context['sourcename']}"
        about = "This page's source, in MyST Markdown"
        offers.append(button("source", source, "Source (.md)", about, "file"))
        if edition_available():
            offers.append(button("book", up + PDF_NAME, PDF_LABEL, PDF_TOOLTIP, "file-pdf"))
        [paper] = [b for b in menu["buttons"] if b["label"] == "download-pdf-button"]
        about = "Print this page"
        offers.append(paper | {"text": about, "tooltip": about, "icon": "fas fa-print"})
        menu["buttons"] = offers


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the copying of the notebooks and the buttons with Sphinx."""
    app.connect("build-finished", copy_notebooks)
    app.connect("html-page-context", offer_downloads, priority=900)  # after the theme's buttons
    return {"parallel_read_safe": True, "parallel_write_safe": True}
