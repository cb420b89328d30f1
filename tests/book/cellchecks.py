"""What the code cells of a page must fulfil, figures among them."""

import ast
import re
from collections.abc import Callable, Iterator

from bookmodel import Book, definitions
from bookparse import Cell, Page

MAX_CELL_LINES = 25
GLUE_TAGS = {"remove-cell", "nbval-ignore-output"}
# Draws that RECSYS_WORLDS would not shift: a claim about them could not be tried in other worlds.
OWN_SEED = re.compile(
    r"\bdefault_rng\(|\bSeedSequence\(|\bRandomState\(|\brandom\.seed\(|\bmanual_seed\(\d"
)
# What names the cause of a number, and the comment that names the arm without that cause.
CAUSE = re.compile(
    r"\b(?:because\s+of|due\s+to|the\s+price\s+of|thanks\s+to|caused\s+by|owes?\s+\w+\s+to)\b",
    re.IGNORECASE,
)
ARM = re.compile(r"^ *# *arm: *\S", re.MULTILINE)
WITH_ARMS = ("index.md", "01-")  # whose claims about causes have been gone through
FORBIDDEN_TAGS = {"nbval-skip", "raises-exception", "skip-execution"}


def check_figures(book: Book) -> list[str]:
    """Every figure has name, caption and alternative text and is referred to by {numref}."""
    problems = []
    for page in book.pages:
        referred = {role.target for role in page.roles if role.name == "numref"}
        problems += [f"{page.at(line)}: an image that is no figure" for line in page.images]
        for line, name, caption, alt in _figures(page):
            if not name.startswith("fig-"):
                problems.append(f"{page.at(line)}: a figure needs a name that starts with fig-")
            elif name not in referred:
                problems.append(f"{page.at(line)}: no {{numref}} on this page refers to {name}")
            if not caption:
                problems.append(f"{page.at(line)}: the figure {name} has no caption")
            if not alt:
                problems.append(f"{page.at(line)}: the figure {name} has no alternative text")
        for cell in page.cells:
            draws = re.search(r"^\s*plt\.show\(\)", cell.source, re.MULTILINE)
            if draws and cell.figure is None:
                problems.append(f"{page.at(cell.line)}: a cell that draws has no mystnb figure")
            last = cell.source.rstrip().splitlines()[-1:]
            if cell.figure is not None and last != ["plt.show()"]:
                problems.append(f"{page.at(cell.line)}: a figure cell ends with plt.show()")
    return problems


def check_tables(book: Book) -> list[str]:
    """A table that a cell returns has a caption, is the cell's last line and is referred to."""
    problems = []
    for page in book.pages:
        referred = {role.target for role in page.roles if role.name == "numref"}
        for cell in page.cells:
            if cell.table is None:
                continue
            place, name = page.at(cell.line), cell.table["name"]
            if name not in referred:
                problems.append(f"{place}: no {{numref}} on this page refers to {name}")
            if not cell.table.get("caption"):
                problems.append(f"{place}: the table {name} has no caption")
            if not _returns_table(cell):
                problems.append(f"{place}: a cell named {name} ends with a call of table")
    return problems


def _returns_table(cell: Cell) -> bool:
    last = ast.parse(cell.source).body[-1:]
    return [ast.unparse(node).split("(")[0] for node in last] == ["table"]


def _figures(page: Page) -> Iterator[tuple[int, str, str, str]]:
    for cell in page.cells:
        if (figure := cell.figure) is not None:
            yield cell.line, *(str(figure.get(key) or "") for key in ("name", "caption", "alt"))
    for block in page.directives("figure", "glue:figure", "image"):
        yield block.line, block.label, block.body, str(block.options.get("alt") or "")


def check_cells(book: Book) -> list[str]:
    """Cells are short, are executed, parse, and carry no tag that spares them a comparison."""
    problems = []
    for page in book.pages:
        for cell in page.cells:
            place = page.at(cell.line)
            if cell.inside:
                problems.append(f"{place}: a cell inside {cell.inside[-1]} is not executed")
            if len(cell.source.splitlines()) > MAX_CELL_LINES:
                problems.append(f"{place}: the cell has more than {MAX_CELL_LINES} lines")
            if banned := cell.tags & FORBIDDEN_TAGS or re.search(r"#\s*NBVAL_\w+", cell.source):
                problems.append(f"{place}: the cell escapes the comparison by {banned}")
            if "nbval-ignore-output" in cell.tags and not (_glues(cell) or "timing" in cell.tags):
                problems.append(f"{place}: only glue and timing cells may ignore their output")
            try:
                ast.parse(cell.source)
            except SyntaxError:
                problems.append(f"{place}: the cell is not plain Python")
    return problems


def _glues(cell: Cell) -> bool:
    return re.search(r"\bglue(_\w+)?\(", cell.source) is not None


def _asserts(cell: Cell) -> bool:
    return re.search(r"^\s*assert\b", cell.source, re.MULTILINE) is not None


def check_glue_cells(book: Book) -> list[str]:
    """A cell that glues is removed from the page and left to the comparison of glued values."""
    return [
        f"{page.at(cell.line)}: a cell that glues needs the tags {sorted(GLUE_TAGS - cell.tags)}"
        for page in book.pages
        for cell in page.cells
        if _glues(cell) and not cell.tags >= GLUE_TAGS
    ]


def check_claims(book: Book) -> list[str]:
    """Claim cells assert something, show their code on demand, and are compared."""
    problems = []
    for page in book.pages:
        for cell in page.cells:
            place = page.at(cell.line)
            if "claim" in cell.tags and not _asserts(cell):
                problems.append(f"{place}: a claim without an assert")
            if "claim" in cell.tags and "hide-input" not in cell.tags:
                problems.append(f"{place}: a claim needs the tag hide-input")
            if "claim" in cell.tags and "nbval-ignore-output" in cell.tags:
                problems.append(f"{place}: a claim may not ignore its output")
    return problems


def check_timings(book: Book) -> list[str]:
    """Timing cells assert a relation, because their output cannot be compared."""
    problems = []
    for page in book.pages:
        for cell in page.cells:
            if "timing" not in cell.tags:
                continue
            if "nbval-ignore-output" not in cell.tags:
                problems.append(f"{page.at(cell.line)}: a timing needs the tag nbval-ignore-output")
            if not _asserts(cell) and not _glues(cell):
                problems.append(f"{page.at(cell.line)}: a timing without an assert")
    return problems


def check_no_copies(book: Book) -> list[str]:
    """No page defines again what recsys defines."""
    problems = []
    for page in book.pages:
        for cell in page.cells:
            try:
                names = set(definitions(cell.source))
            except SyntaxError:
                continue  # check_cells reports it
            for name in sorted(names & book.package_names):
                problems.append(f"{page.at(cell.line)}: recsys already defines {name}")
    return problems


def check_seeds(book: Book) -> list[str]:
    """What a cell draws comes from seeds that the package shifts, so that other worlds exist."""
    return [
        f"{page.at(cell.line)}: {found[0].rstrip('(')} draws the same in all worlds: use generator"
        for page in book.pages
        for cell in page.cells
        if (found := OWN_SEED.search(cell.source))
    ]


def check_causes(book: Book) -> list[str]:
    """A number that is put down to a cause has, beside it, a claim that names its arm."""
    problems = []
    for page in book.pages:
        if not page.name.startswith(WITH_ARMS):
            continue
        claims = [cell for cell in page.cells if "claim" in cell.tags]
        for prose in page.prose:
            measured = any(role.name.startswith("glue") for role in prose.roles)
            match = CAUSE.search(prose.text)
            if not measured or match is None or "prf:proof" in prose.inside:
                continue
            before = [cell for cell in claims if cell.line < prose.line][-1:]
            after = [cell for cell in claims if cell.line > prose.line][:1]
            if not any(ARM.search(cell.source) for cell in before + after):
                found = f"{page.at(prose.line)}: {match.group()!r} of a number"
                problems.append(f"{found}, but no claim beside it names the '# arm:' without it")
    return problems


CELL_CHECKS: list[Callable[[Book], list[str]]] = [
    check_figures,
    check_tables,
    check_cells,
    check_glue_cells,
    check_claims,
    check_timings,
    check_no_copies,
    check_seeds,
    check_causes,
]
