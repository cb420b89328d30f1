"""Print the built site as one PDF: title page, contents with page numbers, and every page.

Chromium does the typesetting, so the edition shows what the site shows.

On a site that is built already: ``python book/_ext/pdf_edition.py _build/html``.
"""

import os
import sys
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path

import pikepdf
from pypdf import PdfWriter
from sphinx.application import Sphinx
from sphinx.util import logging

from browser import HOW_TO_GET_ONE, find_browser
from execution import REUSE
from joined_pages import joined
from made_from import commit, git
from printing import print_joined, served

PDF_NAME = "modern-recommendation-systems.pdf"
JOINED_NAME = "pdf-edition.html"  # exists only while it is printed
STYLE = Path(__file__).parent.parent / "_static" / "print.css"

FRONT = """
<section class="title-page"><p class="book-title">{title}</p><p class="book-author">{author}</p>
</section>
<section class="imprint">
<p>© {rights}</p>
<p>This edition was printed from the site of the book, at commit {commit} of {date}. Every page was
executed when this edition was made.</p>
<p>Code that the site keeps folded is not printed: the drawing of figures, longer experiments whose
result is shown, and the assertions beside claims. A tick in the margin marks the place of an
assertion that was executed. Solutions, which the site folds too, are printed below their
exercises.</p>
</section>
"""


@dataclass(frozen=True)
class Edition:
    """What the edition says about itself."""

    title: str
    author: str
    rights: str
    commit: str
    date: str  # of the commit, so that the same sources give the same edition


def edition_available() -> bool:
    """Tell whether there is a browser to print the edition with."""
    return find_browser() is not None


def describe(folder: Path, title: str, author: str, rights: str) -> Edition:
    """Return the edition that is made from the sources in the folder."""
    date = git(folder, "log", "-1", "--format=%cs") or "unknown date"
    return Edition(title, author, rights, commit(folder), date)


def make_edition(site: Path, first: str, edition: Edition) -> Path:
    """Write the PDF edition of a built site into the site.

    Parameters
    ----------
    site
        The folder of the built site.
    first
        Name of its first page, such as ``book/index``.
    edition
        What the edition says about itself.
    """
    front = FRONT.format(**{key: escape(value) for key, value in vars(edition).items()})
    page = site / JOINED_NAME
    page.write_text(
        joined(site, first, escape(edition.title), front, STYLE.read_text("utf-8")), "utf-8"
    )
    try:
        with served(site) as address:
            pdf = PdfWriter(clone_from=print_joined(f"{address}/{JOINED_NAME}"))
    finally:
        page.unlink()
    pdf.add_metadata({"/Title": edition.title, "/Author": edition.author})
    if (day := edition.date.replace("-", "")).isdigit():
        pdf.add_metadata({"/CreationDate": f"D:{day}", "/ModDate": f"D:{day}"})
    pdf.page_mode = "/UseOutlines"
    whole = BytesIO()
    pdf.write(whole)
    with pikepdf.open(whole) as packed:  # a third of the size: its many small objects compressed
        packed.save(
            site / PDF_NAME,
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
            deterministic_id=True,
        )
    return site / PDF_NAME


def print_book(app: Sphinx, error: Exception | None) -> None:
    """Print the book after Sphinx has built its site."""
    if error is not None or app.builder.format != "html" or REUSE in os.environ:
        return  # a page is built alone: the edition is that of the last build
    if not edition_available():
        logging.getLogger(__name__).info(f"No PDF edition. {HOW_TO_GET_ONE}")
        return
    config = app.config
    edition = describe(Path(app.srcdir), config.project, config.author, config.copyright)
    make_edition(Path(app.outdir), config.root_doc, edition)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the printing with Sphinx, after every extension that still writes into the site."""
    app.add_css_file(STYLE.name, media="print")
    app.connect("build-finished", print_book, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    import yaml

    root = Path(__file__).parent.parent.parent
    settings = yaml.safe_load((root / "_config.yml").read_text("utf-8"))
    about = describe(root, settings["title"], settings["author"], settings["copyright"])
    print(make_edition(Path(sys.argv[1]), "book/index", about))
