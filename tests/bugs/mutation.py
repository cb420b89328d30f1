"""Run named tests against a copy of the checkout, with or without a planted bug."""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from mutants import Mutant

ROOT = Path(__file__).parents[2]
# A test that cannot even run has noticed nothing.
NOT_A_KILL = re.compile(r"^(?:ImportError|ModuleNotFoundError|SyntaxError|NameError)\b")

GUARD = '''
"""Fail at once where recsys is not the copy beside this file."""
from pathlib import Path

import recsys

assert Path(recsys.__file__).parent.parent == Path(__file__).parent, recsys.__file__
'''


@dataclass(frozen=True)
class Outcome:
    """How a run of tests ended."""

    exit_code: int
    passed: int
    failed: int
    broken: int  # errors, skips, and failures to import or to find a name
    output: str


def copy_checkout(target: Path) -> None:
    """Copy what the tests of the package need."""
    for folder in ("recsys", "tests"):
        shutil.copytree(
            ROOT / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", target)
    (target / "recsys_guard.py").write_text(GUARD, "utf-8")


def plant(mutant: Mutant, checkout: Path) -> None:
    """Change the copy as the mutant says; the result must still be Python."""
    file = checkout / "recsys" / mutant.file
    source = file.read_text("utf-8")
    count = source.count(mutant.before)
    if count != 1:
        raise ValueError(f"{mutant.name}: {mutant.before!r} occurs {count} times in {mutant.file}")
    changed = source.replace(mutant.before, mutant.after)
    compile(changed, str(file), "exec")
    file.write_text(changed, "utf-8")


def run_tests(checkout: Path, node_ids: list[str]) -> Outcome:
    """Run tests in the copy; a plugin makes sure that they import the copy of recsys."""
    report = checkout / "report.xml"
    options = ["-q", "-p", "recsys_guard", "-p", "no:cacheprovider", f"--junitxml={report}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *node_ids],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    passed = failed = broken = 0
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        failure = case.find("failure")
        if case.find("error") is not None or case.find("skipped") is not None:
            broken += 1
        elif failure is None:
            passed += 1
        elif NOT_A_KILL.match(failure.get("message", "")):
            broken += 1
        else:
            failed += 1
    return Outcome(done.returncode, passed, failed, broken, done.stdout + done.stderr)
