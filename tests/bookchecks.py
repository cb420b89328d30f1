"""What a page must fulfil: each check takes the parsed book and returns the problems it found.

An empty list means that all is well. `test_book.py` runs every check over the real pages;
`test_book_checks.py` shows for every check that it reports a page that breaks its rule.
CONTRIBUTING.md tells the rules from an author's side.
"""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pybtex.database import parse_file

from bookparse import Cell, Directive, Page, Prose, cite_keys, read_book

RESULTS = {"prf:proposition": "prop-", "prf:theorem": "thm-", "prf:lemma": "lem-"}
MAX_CELL_LINES = 25
GLUE_TAGS = {"remove-cell", "nbval-ignore-output"}
FORBIDDEN_TAGS = {"nbval-skip", "raises-exception", "skip-execution"}

# Decimals, percentages, factors. The level of a band is a convention, not a result.
TYPED_NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?!\w|\.\w)|\d+\s?(?:%|×|per ?cent\b)", re.IGNORECASE)
BAND_LEVEL = re.compile(r"\b95\s?% (?:confidence )?(?:band|interval)s?\b")

FORBIDDEN_WORDS = re.compile(
    r"\b(?:TODO|FIXME|XXX|placeholder|lorem|to be written|it is known that|can be found in"
    r"|profound(?:ly)?|dramatic(?:ally)?|indisputabl[ey]|pinnacle)\b|\bclearly,",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Book:
    """Everything that the checks look at."""

    pages: list[Page]
    toc: list[str] = field(default_factory=list)  # page names in the order of the contents
    bibliography: set[str] = field(default_factory=set)
    package_names: set[str] = field(default_factory=set)
    twins: list[str] = field(default_factory=list)  # names of the tests in test_theorems.py


def load_book(root: Path) -> Book:
    """Read the book of this checkout."""
    twins = root / "tests" / "test_theorems.py"
    bibliography = root / "book" / "references.bib"
    return Book(
        pages=read_book(root / "book"),
        toc=toc_files((root / "_toc.yml").read_text("utf-8")),
        bibliography=set(parse_file(str(bibliography)).entries) if bibliography.exists() else set(),
        package_names=set().union(
            *(public_definitions(path.read_text("utf-8")) for path in root.glob("recsys/*.py"))
        ),
        twins=test_names(twins.read_text("utf-8")) if twins.exists() else [],
    )


def toc_files(text: str) -> list[str]:
    """Return the names of the pages that the table of contents lists."""

    def files(entry: object) -> Iterator[str]:
        if isinstance(entry, dict):
            for key, value in entry.items():
                if key in ("root", "file"):
                    yield Path(value).name + ".md"
                else:
                    yield from files(value)
        elif isinstance(entry, list):
            for item in entry:
                yield from files(item)

    return list(files(yaml.safe_load(text)))


def definitions(source: str) -> list[str]:
    """Return the names of all functions and classes that the code defines, at any depth."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


def public_definitions(source: str) -> set[str]:
    """Return the names that a module of recsys defines for others: public, at its top level."""
    kinds = ast.FunctionDef | ast.ClassDef
    nodes = ast.parse(source).body
    return {node.name for node in nodes if isinstance(node, kinds) and node.name[0] != "_"}


def test_names(source: str) -> list[str]:
    """Return the names of the tests that a test module defines."""
    return [name for name in definitions(source) if name.startswith("test_")]


test_names.__test__ = False  # it is not a test itself


def check_contents(book: Book) -> list[str]:
    """Every page on disk is in the table of contents exactly once, and the other way round."""
    on_disk = {page.name for page in book.pages}
    problems = [f"{name}: not in _toc.yml" for name in sorted(on_disk - set(book.toc))]
    problems += [f"{name}: in _toc.yml but not on disk" for name in set(book.toc) - on_disk]
    return problems + [
        f"{name}: twice in _toc.yml" for name, n in Counter(book.toc).items() if n > 1
    ]


def check_front_matter(book: Book) -> list[str]:
    """Every page has the front matter without which its cells are silently not executed."""
    problems = []
    for page in book.pages:
        jupytext = page.front_matter.get("jupytext") or {}
        if (jupytext.get("text_representation") or {}).get("format_name") != "myst":
            problems.append(f"{page.name}: jupytext front matter with format_name: myst is missing")
        if (page.front_matter.get("kernelspec") or {}).get("name") != "python3":
            problems.append(f"{page.name}: kernelspec front matter with name: python3 is missing")
    return problems


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


def results(page: Page) -> list[Directive]:
    """Return the page's numbered results that need a proof and a twin."""
    return page.directives(*RESULTS)


def check_result_labels(book: Book) -> list[str]:
    """Results carry a label of their kind, and no label is given twice."""
    problems, labels = [], Counter()
    for page in book.pages:
        for result in results(page):
            labels[result.label] += 1
            if not re.fullmatch(RESULTS[result.name] + r"[a-z0-9]+(-[a-z0-9]+)*", result.label):
                wanted = RESULTS[result.name]
                problems.append(
                    f"{page.at(result.line)}: the label of {result.name} is {wanted}..."
                )
    return problems + [f"{label}: given {n} times" for label, n in labels.items() if n > 1]


def check_proofs(book: Book) -> list[str]:
    """Every result is proved, here or in an appendix; `:class: cited` marks one that is cited."""
    proved = {label for page in book.pages for label in _proved(page)}
    problems = []
    for page in book.pages:
        for result in results(page):
            if "cited" in str(result.options.get("class") or "").split():
                if "{cite" not in result.body:
                    problems.append(f"{page.at(result.line)}: {result.label} cites no source")
            elif result.label not in proved:
                problems.append(f"{page.at(result.line)}: {result.label} has no proof")
    return problems


def _proved(page: Page) -> Iterator[str]:
    """Yield the labels that this page proves.

    A proof belongs to the result that it follows; with no result before it since the last proof, to
    the results that the paragraph directly before it refers to by {prf:ref}.
    """
    last_result, last_paragraph = None, None
    for part in page.parts:
        if isinstance(part, Directive) and part.name in RESULTS:
            last_result = part.label
        elif isinstance(part, Directive) and part.name == "prf:proof":
            if last_result is not None:
                yield last_result
            elif last_paragraph is not None:
                yield from (r.target for r in last_paragraph.roles if r.name == "prf:ref")
            last_result, last_paragraph = None, None
        elif isinstance(part, Prose) and not part.inside:
            last_paragraph = part


def check_twins(book: Book) -> list[str]:
    """Every result has a twin among the tests, and every twin has its result."""
    labels = {result.label for page in book.pages for result in results(page)}
    owner = {test: twin_of(test, labels) for test in book.twins}
    problems = [f"{test}: no result has this name" for test, of in owner.items() if of is None]
    untested = sorted(labels - set(owner.values()))
    return problems + [f"{label}: no test in test_theorems.py has this name" for label in untested]


def twin_of(test: str, labels: set[str]) -> str | None:
    """Return the label that the test's name contains (the longest, if several fit)."""
    fitting = [x for x in labels if f"{test}_".startswith(f"test_{x.replace('-', '_')}_")]
    return max(fitting, key=len, default=None)


def check_exercises(book: Book) -> list[str]:
    """Every exercise has exactly one gated solution that opens on demand and executes a cell."""
    problems = []
    for page in book.pages:
        exercises = page.directives("exercise", "exercise-start")
        starts = page.directives("solution-start")
        ends = page.directives("solution-end")
        solved = Counter(start.argument for start in starts)
        for block in page.directives("solution"):
            problems.append(
                f"{page.at(block.line)}: use a gated solution; this one is not executed"
            )
        for exercise in exercises:
            if not exercise.label.startswith("ex-"):
                problems.append(f"{page.at(exercise.line)}: an exercise needs a label ex-...")
            elif solved[exercise.label] != 1:
                n = solved[exercise.label]
                problems.append(f"{page.at(exercise.line)}: {exercise.label} has {n} solutions")
        for label in set(solved) - {exercise.label for exercise in exercises}:
            problems.append(
                f"{page.name}: a solution of {label}, which is no exercise of this page"
            )
        if len(starts) != len(ends):
            problems.append(f"{page.name}: solution-start and solution-end do not pair")
        for start, end in zip(starts, ends, strict=False):
            if not any(start.line < cell.line < end.line for cell in page.cells):
                problems.append(f"{page.at(start.line)}: the solution executes no cell")
            if "dropdown" not in str(start.options.get("class") or ""):
                problems.append(f"{page.at(start.line)}: a solution needs :class: dropdown")
    return problems


def check_typed_numbers(book: Book) -> list[str]:
    """No decimal, percentage or factor is typed into prose: numbers come through glue."""
    problems = []
    for page in book.pages:
        for prose in page.prose:
            if "prf:proof" in prose.inside:
                continue
            if match := TYPED_NUMBER.search(BAND_LEVEL.sub("", prose.text)):
                problems.append(f"{page.at(prose.line)}: typed number {match.group()!r}")
    return problems


def check_citations(book: Book) -> list[str]:
    """Every citation is in references.bib and every entry of references.bib is cited."""
    cited = [(key, page.at(line)) for page in book.pages for key, line in cite_keys(page)]
    problems = [
        f"{at}: unknown citation {key}" for key, at in cited if key not in book.bibliography
    ]
    unused = sorted(book.bibliography - {key for key, _ in cited})
    return problems + [f"references.bib: nobody cites {key}" for key in unused]


def check_words(book: Book) -> list[str]:
    """No unfinished text, no praise of our own results, no proof by assertion, no raw HTML."""
    problems = []
    for page in book.pages:
        for number, line in enumerate(page.text.splitlines(), start=1):
            if match := FORBIDDEN_WORDS.search(line):
                problems.append(f"{page.at(number)}: {match.group()!r}")
        problems += [f"{page.at(line)}: raw HTML" for line in page.html]
        for prose in page.prose:  # a phrase may be broken over two lines
            if match := FORBIDDEN_WORDS.search(prose.text):
                problems.append(f"{page.at(prose.line)}: {match.group()!r}")
    return sorted(set(problems))


CHECKS: list[Callable[[Book], list[str]]] = [
    check_contents,
    check_front_matter,
    check_figures,
    check_cells,
    check_glue_cells,
    check_claims,
    check_timings,
    check_no_copies,
    check_result_labels,
    check_proofs,
    check_twins,
    check_exercises,
    check_typed_numbers,
    check_citations,
    check_words,
]
