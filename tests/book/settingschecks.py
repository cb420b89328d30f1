"""A page plays the settings that a record chose: the check of the chapters that have a record."""

import ast
from collections.abc import Callable, Iterator

from bookmodel import Book
from bookparse import Cell, Page

TRAINS = {"fit", "fit_with", "fit_together", "train", "train_together", "train_models", "live"}
TRAINS |= {"Training", "LogisticPolicy", "nightly_network"}


def check_settings(book: Book) -> list[str]:
    """In a chapter with a record every training gets settings from it, and none is typed."""
    problems = []
    for page in book.pages:
        names = book.settings.get(page.name.partition("/")[0])
        if names is None:
            continue
        known: set[str] = set()
        for cell, tree in _trees(page):
            place = page.at(cell.line)
            known |= _made_of_the_record(tree, known)
            for call in _trainings(tree):
                if not _uses(call, known):
                    said = f"{ast.unparse(call.func)} plays settings that no record chose"
                    problems.append(f"{place}: {said}")
            problems += [
                f"{place}: {name} is typed, where a record has chosen it"
                for name in _typed(tree, names)
            ]
    return problems


def _trees(page: Page) -> Iterator[tuple[Cell, ast.Module]]:
    for cell in page.cells:
        try:
            yield cell, ast.parse(cell.source)
        except SyntaxError:
            continue  # check_cells reports it


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _trainings(tree: ast.AST) -> Iterator[ast.Call]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    yield from (call for call in calls if _called(call) in TRAINS)


def _uses(node: ast.AST, known: set[str]) -> bool:
    return any(isinstance(n, ast.Name) and n.id in known for n in ast.walk(node))


def _made_of_the_record(tree: ast.AST, known: set[str]) -> set[str]:
    """Return the names of what is read from the record, or made of such a thing by a setting."""
    found = set(known)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign | ast.For | ast.comprehension):
            continue
        source = node.value if isinstance(node, ast.Assign) else node.iter
        reads = "Record.read(" in ast.unparse(source)
        trained = any(True for _ in _trainings(source))  # a network is no setting
        if reads or (_uses(source, found) and not trained):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    return found


def _typed(tree: ast.AST, names: set[str]) -> Iterator[str]:
    """Yield the recorded settings whose values are typed: as an argument, or in a mapping."""
    for call in _trainings(tree):
        yield from (k.arg for k in call.keywords if k.arg in names and _literal(k.value))
        if _called(call) in ("Training", "LogisticPolicy") and len(call.args) > 2:
            yield "a setting without its name"
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (k.value for k, v in pairs if _key(k) in names and _literal(v))
        if isinstance(node, ast.Call) and _called(node) == "dict":
            yield from (k.arg for k in node.keywords if k.arg in names and _literal(k.value))


def _key(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _literal(node: ast.expr) -> bool:
    """Tell whether an expression is made of typed numbers only."""
    parts = list(ast.walk(node))
    numbers = any(isinstance(n, ast.Constant) and not isinstance(n.value, str) for n in parts)
    return numbers and not any(isinstance(n, ast.Name) for n in parts)


SETTINGS_CHECKS: list[Callable[[Book], list[str]]] = [check_settings]
