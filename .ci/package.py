"""Make an environment from nothing and run the package's tests in it: ``python .ci/package.py``.

It needs no more than a Python that ``pyproject.toml`` allows, on Linux, macOS or Windows, and a
package index. Each test file runs in a process of its own, so that no file rests on what another
one imported or left behind. The book is not built.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What these folders test has to be built first, or plants bugs in the others' subject.
BUILT = ("site", "bugs")
# With the pins of the whole book; without them only the twins of the results need recsys alone.
BOOK = ("tests/book/test_book.py", "tests/book/test_book_checks.py", "tests/test_pins.py")
VERSION = "{}.{}.{}".format(*sys.version_info)
ORDERS = ("listed", "reversed", "shuffled")


def test_files(everything: bool = False, root: Path = ROOT) -> list[str]:
    """Return the test files of the package, with ``everything`` also those of the book's sources.

    They are paths from the root of the checkout, written with "/", in alphabetical order.
    """
    paths = (path.relative_to(root) for path in (root / "tests").rglob("test_*.py"))
    files = sorted(path.as_posix() for path in paths if path.parts[1] not in BUILT)
    return [file for file in files if everything or file not in BOOK]


def in_order(files: list[str], order: str, seed: int) -> list[str]:
    """Return the files in one of ``ORDERS``."""
    if order == "shuffled":
        return random.Random(seed).sample(files, len(files))
    return files[::-1] if order == "reversed" else list(files)


def wanted(everything: bool, latest: bool) -> list[str]:
    """Return what pip is asked to install."""
    if everything:
        return ["-r", "requirements.txt"]
    pins = [] if latest else ["-c", ".ci/constraints.txt"]
    return [*pins, "-e", ".[cluster,test]"]


def surroundings(folder: Path) -> dict[str, str]:
    """Return the environment variables of the tests: nothing of the user's own takes part."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "CI")  # CI says that there is a built book
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "PYTHONNOUSERSITE": "1", "MPLCONFIGDIR": str(folder / "matplotlib")}


def python_of(folder: Path) -> str:
    """Return the path of an environment's Python."""
    return str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def make_environment(folder: Path, packages: list[str]) -> None:
    """Make the environment anew."""
    if folder.exists() and not (folder / "pyvenv.cfg").is_file():
        raise ValueError(f"--environment: got {folder}, which is there and no environment")
    if folder.exists():
        shutil.rmtree(folder)
    venv.create(folder, with_pip=True)
    pip = [python_of(folder), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, *packages], cwd=ROOT, env=surroundings(folder), check=True)


def run_tests(python: str, files: list[str], options: list[str], env: dict[str, str]) -> list[str]:
    """Run each file in a process of its own and return those that failed."""
    failed = []
    for number, file in enumerate(files, 1):
        began = time.perf_counter()
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, file]
        done = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        print(
            f"-- {number}/{len(files)} {file}: exit {done.returncode}, {seconds:.0f} s", flush=True
        )
        if done.returncode:
            failed.append(file)
    return failed


def parser() -> argparse.ArgumentParser:
    """Return what reads the command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="only these test files")
    parser.add_argument("--order", choices=ORDERS, default="listed", help="of files and of tests")
    parser.add_argument("--seed", type=int, default=0, help="of the shuffled order")
    parser.add_argument("--everything", action="store_true", help="also the book's sources")
    parser.add_argument("--latest", action="store_true", help="the newest versions, not the pins")
    default = ROOT / "_build" / "package" / VERSION
    parser.add_argument("--environment", type=Path, default=default, help="its folder, made anew")
    parser.add_argument("--keep", action="store_true", help="the environment as it is there")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Make the environment, run the tests and return 1 if a file failed, else 0."""
    reader = parser()
    chosen = reader.parse_args(arguments)
    if chosen.everything and chosen.latest:
        reader.error("--latest: the book needs its pins, so not together with --everything")
    missing = [file for file in chosen.files if not (ROOT / file).is_file()]
    if missing:
        reader.error(f"files: got {missing}, expected test files of {ROOT}")

    folder = chosen.environment.absolute()
    if chosen.keep:
        if not (folder / "pyvenv.cfg").is_file():
            reader.error(f"--keep: got {folder}, expected an environment that is there")
    else:
        print(f"== Environment: {folder} from Python {VERSION}", flush=True)
        try:
            make_environment(folder, wanted(chosen.everything, chosen.latest))
        except ValueError as error:
            reader.error(str(error))
    files = in_order(chosen.files or test_files(chosen.everything), chosen.order, chosen.seed)
    print(f"== Tests: {len(files)} files, {chosen.order}, seed {chosen.seed}", flush=True)
    # How fast the machine is, which such a test asserts, says nothing about the package here.
    options = ["-m", "not speed", "--order", chosen.order, "--order-seed", str(chosen.seed)]
    failed = run_tests(python_of(folder), files, options, surroundings(folder))
    print(f"== {len(files) - len(failed)} files passed, {len(failed)} failed: {failed}", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
