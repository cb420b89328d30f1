"""Count what the verification covers, for the appendix that tells of it.

A page finds this module in the folder tests beside the package recsys.
"""

from pathlib import Path

from bookmodel import load_book, results
from mutants import MUTANTS

ROOT = Path(__file__).parents[2]


def facts(root: Path = ROOT) -> dict[str, int]:
    """Return the counts by their names, in the order in which one would tell them."""
    book = load_book(root)
    cells = [cell for page in book.pages for cell in page.cells]
    ignored = [cell for cell in cells if "nbval-ignore-output" in cell.tags]
    return {
        "pages": len(book.pages),
        "cells executed": len(cells),
        "cells compared": len(cells) - len(ignored),
        "cells that glue numbers": sum("timing" not in cell.tags for cell in ignored),
        "cells that measure time": sum("timing" in cell.tags for cell in cells),
        "claims asserted": sum("claim" in cell.tags for cell in cells),
        "figures": sum(cell.figure is not None for cell in cells),
        "numbers glued into prose": sum(
            role.name.startswith("glue") for page in book.pages for role in page.roles
        ),
        "numbered results": sum(len(results(page)) for page in book.pages),
        "twins of results": len(book.twins),
        "exercises": sum(len(page.directives("exercise")) for page in book.pages),
        "works cited": len(book.bibliography),
        "planted bugs": len(MUTANTS),
    }
