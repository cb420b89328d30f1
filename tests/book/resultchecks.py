"""What numbered results, their proofs and twins, and exercises must fulfil."""

import re
from collections import Counter
from collections.abc import Callable, Iterator

from bookmodel import RESULTS, Book, results
from bookparse import Directive, Page, Prose


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


RESULT_CHECKS: list[Callable[[Book], list[str]]] = [
    check_result_labels,
    check_proofs,
    check_twins,
    check_exercises,
]
