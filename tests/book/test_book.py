"""The book as a whole: every rule of bookchecks.py on the sources, of sitechecks.py on the site."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bookchecks import CHECKS
from bookmodel import Book, load_book
from sitechecks import SITE_CHECKS, Site, load_site

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def book() -> Book:
    """Return the parsed sources."""
    return load_book(ROOT)


@pytest.fixture(scope="module")
def site(book: Book) -> Site:
    """Return the built site; without a build this skips, except where CI says that there is one."""
    if not (ROOT / "_build" / "html").is_dir() and not os.environ.get("CI"):
        pytest.skip("the book is not built: bash .ci/build")
    return load_site(ROOT, book)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_sources(check: Callable[[Book], list[str]], book: Book):
    assert check(book) == []


@pytest.mark.parametrize("check", SITE_CHECKS, ids=lambda check: check.__name__)
def test_site(check: Callable[[Site], list[str]], site: Site):
    assert check(site) == []
