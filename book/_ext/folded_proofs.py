"""Fold a long proof, one with ``:class: dropdown``, into a part of the page that opens on demand.

The theme's own folding needs a title, which a proof has not, and hides from links what it folds. A
``details`` element needs no script, and the browser opens it for a link or a search that leads
inside. In the PDF edition `joined_pages` takes the fold away.
"""

from bs4 import BeautifulSoup
from sphinx.application import Sphinx

FOLDED = "folded"
LABELS = {"collapsed": "Show the proof", "expanded": "Hide the proof"}


def fold(app: Sphinx, pagename: str, page: BeautifulSoup) -> None:
    """Put every proof that asks for it into a fold."""
    for proof in page.select("article div.proof.admonition.dropdown"):
        if proof.select_one(":scope > .admonition-title"):
            continue  # a result, which the theme folds
        proof["class"] = [name for name in proof["class"] if name != "dropdown"]
        details = proof.wrap(page.new_tag("details", attrs={"class": FOLDED}))
        summary = page.new_tag("summary")
        for name, label in LABELS.items():
            text = page.new_tag("span", attrs={"class": name})
            text.string = label
            summary.append(text)
        details.insert(0, summary)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the folding with Sphinx."""
    app.connect("page-finished", fold)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
