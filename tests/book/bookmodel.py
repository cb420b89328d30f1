"""The book as the checks see it: its pages and what is around them."""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pybtex.database import parse_file

from bookparse import Directive, Page, read_book

RESULTS = {"prf:proposition": "prop-", "prf:theorem": "thm-", "prf:lemma": "lem-"}


@dataclass(frozen=True)
class Book:
    """Everything that the checks look at."""

    pages: list[Page]
    toc: list[str] = field(default_factory=list)  # page names in the order of the contents
    bibliography: set[str] = field(default_factory=set)
    package_names: set[str] = field(default_factory=set)
    twins: list[str] = field(default_factory=list)  # names of the tests in test_theorems.py
    settings: dict[str, set[str]] = field(default_factory=dict)  # what each chapter's record chose


def load_book(root: Path) -> Book:
    """Read the book of this checkout."""
    twins = root / "tests" / "book" / "test_theorems.py"
    bibliography = root / "book" / "references.bib"
    return Book(
        pages=read_book(root / "book"),
        toc=toc_files((root / "_toc.yml").read_text("utf-8")),
        bibliography=set(parse_file(str(bibliography)).entries) if bibliography.exists() else set(),
        package_names=set().union(
            *(public_definitions(path.read_text("utf-8")) for path in root.glob("recsys/**/*.py"))
        ),
        twins=test_names(twins.read_text("utf-8")) if twins.exists() else [],
        settings={
            path.parent.name: recorded_names(path.read_text("utf-8"))
            for path in sorted(root.glob("book/*/settings.json"))
        },
    )


def recorded_names(text: str) -> set[str]:
    """Return the names of the settings that the points of a record vary."""
    searches = json.loads(text).values()
    return {name for search in searches for name in search["points"][0]["settings"]}


def toc_files(text: str) -> list[str]:
    """Return the pages that the table of contents lists, named from the folder book."""

    def files(entry: object) -> Iterator[str]:
        if isinstance(entry, dict):
            for key, value in entry.items():
                if key in ("root", "file"):
                    yield value.removeprefix("book/") + ".md"
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


def results(page: Page) -> list[Directive]:
    """Return the page's numbered results that need a proof and a twin."""
    return page.directives(*RESULTS)
