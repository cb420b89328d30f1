"""What the text of a page must fulfil."""

import re
from collections import Counter
from collections.abc import Callable

from bookmodel import Book
from bookparse import cite_keys

# Decimals, percentages, factors. The level of a band is a convention, not a result.
TYPED_NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?!\w|\.\w)|\d+\s?(?:%|×|per ?cent\b)", re.IGNORECASE)
BAND_LEVEL = re.compile(r"\b95\s?% (?:confidence )?(?:band|interval)s?\b")

FORBIDDEN_WORDS = re.compile(
    r"\b(?:TODO|FIXME|XXX|placeholder|lorem|to be written|it is known that|can be found in"
    r"|profound(?:ly)?|dramatic(?:ally)?|indisputabl[ey]|pinnacle)\b|\bclearly,",
    re.IGNORECASE,
)


def check_contents(book: Book) -> list[str]:
    """Every page on disk is in the table of contents exactly once, and the other way round."""
    on_disk = {page.name for page in book.pages}
    problems = [f"{name}: not in _toc.yml" for name in sorted(on_disk - set(book.toc))]
    problems += [f"{name}: in _toc.yml but not on disk" for name in set(book.toc) - on_disk]
    return problems + [
        f"{name}: twice in _toc.yml" for name, n in Counter(book.toc).items() if n > 1
    ]


def check_front_matter(book: Book) -> list[str]:
    """Every page is described, and has what without which its cells are silently not executed."""
    problems = []
    for page in book.pages:
        html_meta = (page.front_matter.get("myst") or {}).get("html_meta") or {}
        if not html_meta.get("description"):
            problems.append(f"{page.name}: the front matter has no description in html_meta")
        if not page.cells:
            continue
        jupytext = page.front_matter.get("jupytext") or {}
        if (jupytext.get("text_representation") or {}).get("format_name") != "myst":
            problems.append(f"{page.name}: jupytext front matter with format_name: myst is missing")
        if (page.front_matter.get("kernelspec") or {}).get("name") != "python3":
            problems.append(f"{page.name}: kernelspec front matter with name: python3 is missing")
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


TEXT_CHECKS: list[Callable[[Book], list[str]]] = [
    check_contents,
    check_front_matter,
    check_typed_numbers,
    check_citations,
    check_words,
]
