"""The README's code runs as it is printed, in its order, without a shop of one's own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
SECTIONS = re.split(r"^## ", README.read_text("utf-8"), flags=re.MULTILINE)


def blocks(section: str) -> list[str]:
    """Return the Python blocks of a section."""
    (text,) = (part for part in SECTIONS if part.startswith(section + "\n"))
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def printed(code: str, folder: Path) -> str:
    """Return what code prints in a new process; a message beside it is a fault."""
    paths = [str(README.parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_digits_are_played_in_ten_lines_as_printed(tmp_path: Path):
    digits, *_ = blocks("On your own data")
    assert len(digits.splitlines()) <= 10
    assert 0.85 < float(printed(digits, tmp_path)) < 0.95  # the comment says about 0.9


def test_every_line_on_own_data_runs_in_its_order(tmp_path: Path):
    out = printed("\n".join(blocks("On your own data")), tmp_path).split()
    assert out[1:] == ["7", "7"]  # the product that is clicked most
    assert [path.name for path in tmp_path.iterdir()] == ["bandit.npz"]


def test_the_shop_of_the_readme_is_served(tmp_path: Path):
    code = "\n".join(blocks("Using the package"))
    for large, small in (("100_000", "5_000"), ("10_000", "500")):
        assert large in code
        code = code.replace(large, small)
    rate, lost = map(float, printed(code, tmp_path).split())
    assert 0 < rate < 1 < lost


@pytest.mark.parametrize("section", ["Using the package", "On your own data"])
def test_there_is_code_to_run(section: str):
    assert blocks(section)
