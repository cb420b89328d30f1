"""Number the tables that cells return: a table of results named ``tab-...`` in a cell's options.

A cell's output with the option ``mystnb: figure`` is a figure to MyST-NB, and would be numbered as
one. Where its name begins with ``tab-`` it becomes a table with a caption, numbered and referred to
as those of the text are.
"""

from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

PREFIX = "tab-"


class NumberedTables(SphinxTransform):
    """Turn the figures named ``tab-...`` into tables, before Sphinx collects what has a number."""

    default_priority = 500

    def apply(self) -> None:
        """Change the page's tree in place."""
        for figure in list(self.document.findall(nodes.figure)):
            if any(name.startswith(PREFIX) for name in figure["names"]):
                self.replace(figure)

    def replace(self, figure: nodes.figure) -> None:
        """Put a table, with the same name and caption, into the place of a figure."""
        table = nodes.table("", ids=figure["ids"], names=figure["names"])
        table.source, table.line = figure.source, figure.line
        for part in figure.children:
            is_caption = isinstance(part, nodes.caption)
            table += nodes.title("", "", *part.children) if is_caption else part
        title = [part for part in table.children if isinstance(part, nodes.title)]
        table.children = title + [part for part in table.children if part not in title]
        figure.replace_self(table)
        for name in table["ids"]:
            self.document.ids[name] = table


def join(app: Sphinx, pagename: str, page: BeautifulSoup) -> None:
    """Move the rows that a cell returned into the table that bears number and caption."""
    for rows in page.select("article table table.results"):
        outer = rows.find_parent("table")
        outer["class"] = rows["class"]
        [wrapper] = outer.find_all("div", recursive=False)
        for part in rows.find_all(["thead", "tbody"], recursive=False):
            outer.append(part.extract())
        wrapper.decompose()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the numbering with Sphinx."""
    app.add_transform(NumberedTables)
    app.connect("page-finished", join, priority=200)  # before the notebooks are written
    return {"parallel_read_safe": True, "parallel_write_safe": True}
