"""What a page must fulfil as a whole: its opening, its imports, its end, its length."""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator

from bookmodel import Book
from bookparse import Cell, Directive, Page, Prose

CHAPTER = re.compile(r"\d\d-[a-z0-9-]+/")  # the folder of a chapter
MAX_IMPORTS = 6
MAX_WORDS = 4_500  # 22 minutes; a page aims at 1,500 to 3,500
WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
WRITES = {"write_text", "write_bytes", "savez", "savez_compressed", "savetxt", "tofile", "to_csv"}
WRITES |= {"to_parquet", "savefig", "save", "dump", "open"}
NOT_KEPT = re.compile(r"\b(?:TemporaryDirectory|TemporaryFile|BytesIO|StringIO)\b")


def in_chapter(page: Page) -> bool:
    """Tell whether the page is one of a chapter, its opening included."""
    return CHAPTER.match(page.name) is not None


def opens_chapter(page: Page) -> bool:
    """Tell whether the page is the first of a chapter."""
    return in_chapter(page) and page.name.endswith("/index.md")


def check_openings(book: Book) -> list[str]:
    """Every page of a chapter says below its title what it asks and what comes out."""
    problems = []
    for page in book.pages:
        openings = page.directives("opening")
        wanted = in_chapter(page) and not opens_chapter(page)
        if len(openings) != wanted and (wanted or opens_chapter(page) or len(openings) > 1):
            problems.append(f"{page.name}: {len(openings)} openings, expected {wanted:d}")
        for opening in openings:
            paragraphs = re.split(r"\n\s*\n", opening.body.strip())
            if len(paragraphs) != 2:
                problems.append(
                    f"{page.at(opening.line)}: an opening has two paragraphs, not {len(paragraphs)}"
                )
            before = page.parts[: page.parts.index(opening)]
            if [type(part) for part in before] != [Prose]:  # the title
                problems.append(f"{page.at(opening.line)}: the opening stands below the title")
    return problems


def check_chapter_maps(book: Book) -> list[str]:
    """A chapter's first page has its map and no sections, and no other page has one."""
    problems = []
    for page in book.pages:
        n = len(page.directives("chapter-map"))
        if n != opens_chapter(page):
            problems.append(f"{page.name}: {n} times chapter-map, expected {opens_chapter(page):d}")
        if opens_chapter(page) and len(page.headings) != 1:  # they would be numbered like pages
            problems.append(f"{page.name}: the first page of a chapter has one heading, its title")
    return problems


def check_titles(book: Book) -> list[str]:
    """Every page begins with its title, the only heading of the first level."""
    problems = []
    for page in book.pages:
        levels = [heading.level for heading in page.headings]
        if levels[:1] != [1] or levels.count(1) != 1:
            problems.append(f"{page.name}: a page has one title, its first heading")
    return problems


def _imports(cell: Cell) -> list[ast.Import | ast.ImportFrom]:
    try:
        nodes = ast.walk(ast.parse(cell.source))
    except SyntaxError:
        return []  # check_cells reports it
    return [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return ["." * node.level + (node.module or "")]
    return [alias.name for alias in node.names]


def check_heads(book: Book) -> list[str]:
    """A page takes what it needs of recsys from at most six faces, at its top, and uses all."""
    problems = []
    for page in book.pages:
        at_top, n = True, 0
        for cell in page.cells:
            imports = _imports(cell)
            at_top = at_top and bool(imports)
            for node in imports:
                modules = [m for m in _modules(node) if m.split(".")[0] == "recsys" or m[0] == "."]
                n += len(modules)
                if modules and not at_top:
                    problems.append(f"{page.at(cell.line)}: recsys is imported below the top")
                for module in modules:
                    deep = module.count(".") > 1 or module[0] == "."
                    if deep or (isinstance(node, ast.Import) and module != "recsys"):
                        problems.append(f"{page.at(cell.line)}: {module} is no face of recsys")
        if n > MAX_IMPORTS:
            problems.append(f"{page.name}: {n} imports from recsys, at most {MAX_IMPORTS}")
        problems += [f"{page.name}: {name} is imported and never used" for name in _unused(page)]
    return problems


def _unused(page: Page) -> list[str]:
    """Return the names that the page imports and no cell uses."""
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for cell in page.cells
        for node in _imports(cell)
        for alias in node.names
    }
    used = set()
    for cell in page.cells:
        try:
            used |= {n.id for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Name)}
        except SyntaxError:
            continue
    return sorted(imported - used)


def _written(cell: Cell) -> Iterator[str]:
    try:
        nodes = list(ast.walk(ast.parse(cell.source)))
    except SyntaxError:
        return
    for node in nodes:
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
            if name in WRITES:
                yield name


def check_no_state(book: Book) -> list[str]:
    """Nothing passes from page to page through files: pages are executed alone, in any order."""
    return [
        f"{page.at(cell.line)}: {name}() keeps something for another page"
        for page in book.pages
        for cell in page.cells
        if not NOT_KEPT.search(cell.source)
        for name in _written(cell)
    ]


def check_labels(book: Book) -> list[str]:
    """No label is given twice in the book, whatever it names."""
    places: dict[str, list[str]] = {}
    for page in book.pages:
        for label, line in page.labels:
            places.setdefault(label, []).append(page.at(line))
    return [f"{label}: given at {', '.join(at)}" for label, at in places.items() if len(at) > 1]


def check_exercises_last(book: Book) -> list[str]:
    """Exercises stand in the last section of their page, which is called so."""
    problems = []
    for page in book.pages:
        sections = [heading for heading in page.headings if heading.level == 2]
        named = [heading for heading in sections if heading.text == "Exercises"]
        exercises: list[Directive] = page.directives("exercise", "exercise-start")
        if not exercises and not named:
            continue
        if len(named) != 1 or named != sections[-1:]:
            problems.append(f"{page.name}: one section, the last, is called Exercises")
            continue
        problems += [
            f"{page.at(exercise.line)}: an exercise before the section Exercises"
            for exercise in exercises
            if exercise.line < named[0].line
        ]
        if not exercises:
            problems.append(f"{page.at(named[0].line)}: the section Exercises has none")
    return problems


def n_words(page: Page) -> int:
    """Return how many words of text the page has, captions left out."""
    return sum(len(WORD.findall(p.text)) for p in page.prose if "figure" not in p.inside)


def check_length(book: Book) -> list[str]:
    """A page is read in one sitting."""
    return [
        f"{page.name}: {n_words(page)} words, at most {MAX_WORDS}: divide it"
        for page in book.pages
        if n_words(page) > MAX_WORDS
    ]


def check_front_doors(book: Book) -> list[str]:
    """Every folder of a chapter has its first page."""
    folders = Counter(page.name.split("/")[0] for page in book.pages if in_chapter(page))
    first = {page.name.split("/")[0] for page in book.pages if opens_chapter(page)}
    return [f"{folder}: has no index.md" for folder in folders if folder not in first]


PAGE_CHECKS: list[Callable[[Book], list[str]]] = [
    check_front_doors,
    check_titles,
    check_openings,
    check_chapter_maps,
    check_heads,
    check_no_state,
    check_labels,
    check_exercises_last,
    check_length,
]
