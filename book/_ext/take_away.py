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
from sphinx.application import Sphinx

FOLDER = "_notebooks"
GLUED = re.compile(r"\{glue:text\}`([^`:]+)(?::([^`]*))?`")
NOTE = """\
*The executed notebook of a page of* {book}. *Its cells run where `recsys`, the package of the
book, is installed. The text is MyST Markdown: JupyterLab shows results, figures and references as
the site does once `jupyterlab-myst` is installed.*
"""


def executed_folder(app: Sphinx) -> Path:
    """Return the folder in which the build keeps what it executed."""
    return Path(app.outdir).parent / "jupyter_execute"


def with_numbers(text: str, glued: dict[str, Any]) -> str:
    """Return the text with each glued number where its name stood."""

    def number(match: re.Match[str]) -> str:
        key, form = match.groups()
        value = glued[key]["data"]["text/plain"]
        return format(float(value), form) if form else value.strip("'")

    return GLUED.sub(number, text)


def copy_notebooks(app: Sphinx, error: Exception | None) -> None:
    """Put the executed notebook of every page with cells into the site."""
    if error is not None or app.builder.format != "html":
        return
    for path in executed_folder(app).rglob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        if all(cell.cell_type != "code" for cell in notebook.cells):
            continue
        numbers = path.with_suffix(".glue.json")
        glued = json.loads(numbers.read_text("utf-8")) if numbers.exists() else {}
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = with_numbers(cell.source, glued)
        note = nbformat.v4.new_markdown_cell(NOTE.format(book=app.config.project), id="note")
        notebook.cells.insert(0, note)
        target = Path(app.outdir) / FOLDER / path.relative_to(executed_folder(app))
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)


def offer_downloads(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Put the downloads into the button at the top of the page."""
    groups = [b for b in context.get("header_buttons", []) if b["label"] == "download-buttons"]
    if not groups:
        return
    [menu] = groups
    up = context["pathto"]("_root", 1).removesuffix("_root")
    kept = {b["label"]: b for b in menu["buttons"]}
    source, printed = kept["download-source-button"], kept["download-pdf-button"]
    source |= {"text": "Source (.md)", "tooltip": "The page's source, in MyST Markdown"}
    printed |= {"text": "Print this page", "tooltip": "Print this page", "icon": "fas fa-print"}
    menu["buttons"] = [source, printed]
    if doctree is not None and any(
        doctree.findall(
            lambda node: (
                "cell" in node.get("classes", []) if isinstance(node, nodes.Element) else False
            )
        )
    ):
        notebook = {
            "type": "link",
            "url": f"{up}{FOLDER}/{pagename}.ipynb",
            "text": "Notebook (.ipynb)",
            "tooltip": "The page as an executed notebook",
            "icon": "fas fa-code",
            "label": "download-notebook-button",
        }
        menu["buttons"].insert(0, notebook)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the copying of the notebooks and the buttons with Sphinx."""
    app.connect("build-finished", copy_notebooks)
    app.connect("html-page-context", offer_downloads, priority=900)  # after the theme's buttons
    return {"parallel_read_safe": True, "parallel_write_safe": True}
