"""Print the built site as one PDF: title page, contents with page numbers, and every page.

Chromium does the typesetting, so the edition shows what the site shows.

On a site that is built already, ``python book/_ext/pdf_edition.py _build/html`` prints it without
executing anything. It also puts the link to it into the pages, which have none if there was no
browser when they were built.
"""

import os
import re
import sys
from copy import deepcopy
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path

import pikepdf
from bs4 import BeautifulSoup
from pypdf import PdfWriter
from sphinx.application import Sphinx
from sphinx.util import logging

from browser import HOW_TO_GET_ONE, find_browser
from execution import REUSE
from joined_pages import joined
from made_from import commit, git
from printing import print_joined, served

PDF_NAME = "modern-recommendation-systems.pdf"
PDF_LABEL, PDF_TOOLTIP = "Book (.pdf)", "The whole book as one PDF"
FROM_COMMIT = re.compile(r"executed in \d+ seconds? from commit ([^;<]+);")
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


def describe(
    folder: Path, title: str, author: str, rights: str, made_from: str | None = None
) -> Edition:
    """Return the edition that is made from the sources in the folder, or from a commit of them."""
    known = made_from or commit(folder)
    revision = [known.split()[0]] if made_from and known != "unknown" else []
    date = git(folder, "log", "-1", "--format=%cs", *revision) or "unknown date"
    return Edition(title, author, rights, known, date)


def built_from(site: Path, first: str) -> str | None:
    """Return the commit from which the site says that it was built."""
    found = FROM_COMMIT.search((site / f"{first}.html").read_text("utf-8"))
    return found and found[1]


def link_edition(site: Path) -> int:
    """Put the link to the edition into every page that has none; return into how many."""
    changed = 0
    for path in sorted(site.rglob("*.html")):
        page = BeautifulSoup(path.read_text("utf-8"), "html.parser")
        menu = page.select_one(".dropdown-download-buttons ul")
        source = menu and menu.select_one("a[href*='_sources/']")
        if source is None or menu.select_one(f"a[href$='{PDF_NAME}']"):
            continue
        entry = deepcopy(source.find_parent("li"))
        link = entry.a
        link["href"] = f"{page.html['data-content_root'].removeprefix('./')}{PDF_NAME}"
        link["title"] = PDF_TOOLTIP
        link["class"] = [name.replace("-source-", "-book-") for name in link["class"]]
        entry.i["class"] = [name.replace("fa-file", "fa-file-pdf") for name in entry.i["class"]]
        link.select_one(".btn__text-container").string = PDF_LABEL
        source.find_parent("li").insert_after(entry)
        path.write_text(page.decode(formatter="html5"), "utf-8")
        changed += 1
    return changed


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

    site, first = Path(sys.argv[1]), "book/index"
    root = Path(__file__).parent.parent.parent
    settings = yaml.safe_load((root / "_config.yml").read_text("utf-8"))
    about = (settings[key] for key in ("title", "author", "copyright"))
    print(make_edition(site, first, describe(root, *about, built_from(site, first))))
    print(f"linked from {link_edition(site)} pages that did not link to it")
