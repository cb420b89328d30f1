"""The rules for a page: each check takes the parsed book and returns the problems it found.

An empty list means that all is well. `test_book.py` runs every check over the real pages;
`test_book_checks.py` shows for every check that it reports a page that breaks its rule.
CONTRIBUTING.md tells the rules from an author's side.
"""

from collections.abc import Callable

from bookmodel import Book
from cellchecks import CELL_CHECKS
from pagechecks import PAGE_CHECKS
from resultchecks import RESULT_CHECKS
from settingschecks import SETTINGS_CHECKS
from textchecks import TEXT_CHECKS

CHECKS: list[Callable[[Book], list[str]]] = [
    *PAGE_CHECKS,
    *CELL_CHECKS,
    *RESULT_CHECKS,
    *SETTINGS_CHECKS,
    *TEXT_CHECKS,
]
