"""Which modules a page depends on: followed through faces, on a small package and on recsys."""

import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from execution import digest
from page_modules import Package

ROOT = Path(__file__).parents[2]
SOURCES = {
    "recsys/__init__.py": "",
    "recsys/ground.py": "def check(): ...",
    "recsys/room/__init__.py": (
        "from recsys.room.low import low\nfrom recsys.room.high import high, alone\n"
    ),
    "recsys/room/low.py": "from recsys.ground import check\ndef low(): ...",
    "recsys/room/high.py": "def high():\n    from recsys.room.low import low",
    "recsys/other/__init__.py": "from recsys.other.thing import thing",
    "recsys/other/thing.py": "from recsys.room import high",
    "recsys/other/unused.py": "",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with the small package."""
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / ".ci").mkdir()
    for name in ("requirements.txt", ".ci/constraints.txt"):
        (tmp_path / name).write_text("", "utf-8")
    return tmp_path


def modules(root: Path, *sources: str) -> set[str]:
    """Return the modules that define something, without the faces, by their short names."""
    package = Package(root)
    return {m.split(".")[-1] for m in package.used_by(sources) if not package.is_face(m)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import numpy", set()),
        ("from recsys.ground import check", {"ground"}),
        ("from recsys.room import low", {"low", "ground"}),
        ("from recsys.room import high", {"high", "low", "ground"}),
        ("import recsys.room.low", {"low", "ground"}),
        ("from recsys.room import *", {"high", "low", "ground"}),
        ("import recsys.room", {"high", "low", "ground"}),
        ("from recsys.other import thing", {"thing", "high", "low", "ground"}),
        ("def f():\n    from recsys.other import thing", {"thing", "high", "low", "ground"}),
    ],
)
def test_names_are_followed_to_their_modules(root: Path, source: str, expected: set[str]):
    assert modules(root, source) == expected


def test_the_name_of_an_execution_changes_with_what_it_depends_on(root: Path):
    notebook = new_notebook(cells=[new_code_cell("from recsys.room import low")])
    names = [digest(root, notebook)[0]]
    (root / "recsys/room/high.py").write_text("x = 1", "utf-8")  # another module of the room
    assert digest(root, notebook)[0] == names[0]
    (root / "recsys/ground.py").write_text("def check(): return 1", "utf-8")
    names.append(digest(root, notebook)[0])
    (root / ".ci/constraints.txt").write_text("numpy==1", "utf-8")
    names.append(digest(root, notebook)[0])
    notebook.cells[0].source += "\nlow()"
    names.append(digest(root, notebook)[0])
    assert len(set(names)) == 4


def test_all_modules_that_python_loads_and_the_page_names_are_known():
    code = "from recsys.shop import Shop\nfrom recsys.linear import LinUCB"
    found = Package(ROOT).used_by([code])
    exec(code, {})
    for name in found:
        assert name in sys.modules, f"{name} is thought to be needed and is not imported"
    assert {"recsys.shop.simulator", "recsys.shop.world", "recsys.linear.linucb"} <= found
