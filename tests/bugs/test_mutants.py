"""Planted bugs turn the suite red: each mutant of mutants.py is killed by the test it names."""

from pathlib import Path

import pytest

from mutants import MUTANTS, Mutant
from mutation import copy_checkout, plant, run_tests

pytestmark = pytest.mark.mutant


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a fresh copy of the checkout."""
    copy_checkout(tmp_path)
    return tmp_path


def test_there_are_enough_mutants():
    assert len(MUTANTS) >= 10
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_unchanged_copy_passes(checkout: Path):
    assert MUTANTS
    outcome = run_tests(checkout, sorted({mutant.killed_by for mutant in MUTANTS}))
    assert (outcome.exit_code, outcome.failed, outcome.broken) == (0, 0, 0), outcome.output


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant, checkout: Path):
    plant(mutant, checkout)
    outcome = run_tests(checkout, [mutant.killed_by])
    assert outcome.exit_code == 1, f"nobody noticed {mutant.name}:\n{outcome.output}"
    assert outcome.failed >= 1, outcome.output
    assert outcome.broken == 0, outcome.output


SMALL_TEST = """
from recsys.small import double

def test_double():
    assert double(2) == 4

def test_nothing():
    assert True
"""


@pytest.fixture
def small_checkout(tmp_path: Path) -> Path:
    """Return a checkout with one function and two tests, of which one is worth something."""
    copy_checkout(tmp_path)
    (tmp_path / "recsys" / "__init__.py").write_text("", "utf-8")
    (tmp_path / "recsys" / "small.py").write_text("def double(x):\n    return 2 * x\n", "utf-8")
    (tmp_path / "tests" / "test_small.py").write_text(SMALL_TEST, "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("after", "test", "outcome"),
    [
        ("return 3 * x", "test_double", (1, 0, 1, 0)),  # killed
        ("return 3 * x", "test_nothing", (0, 1, 0, 0)),  # survived
        ("return y * x", "test_double", (1, 0, 0, 1)),  # a name is missing: not a kill
        ("return 3 * x", "test_missing", (4, 0, 0, 0)),  # no such test: not a kill
    ],
)
def test_the_machinery_tells_kills_apart(
    small_checkout: Path, after: str, test: str, outcome: tuple[int, int, int, int]
):
    plant(Mutant("small", "small.py", "return 2 * x", after, ""), small_checkout)
    run = run_tests(small_checkout, [f"tests/test_small.py::{test}"])
    assert (run.exit_code, run.passed, run.failed, run.broken) == outcome, run.output


def test_a_mutant_must_fit_exactly_once(small_checkout: Path):
    for before in ("no such code", "x"):
        with pytest.raises(ValueError, match="occurs"):
            plant(Mutant("misfit", "small.py", before, "y", ""), small_checkout)


def test_the_guard_refuses_another_package(small_checkout: Path):
    (small_checkout / "recsys_guard.py").write_text("assert False, 'other recsys'\n", "utf-8")
    run = run_tests(small_checkout, ["tests/test_small.py"])
    assert run.exit_code not in (0, 1), run.output
