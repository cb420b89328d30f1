"""A build by hand, on the small book: twice, after an edit, in strange surroundings, given up."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from pdf_edition import PDF_NAME
from sitelinks import broken
from small_book import run, write_book

EXECUTED = re.compile(r"book/(\S+)\.md: Executed in")
EVERY = {"01-first/zebra", "01-first/ant", "02-second/only", "appendices/a-algebra"}
RC = "axes.facecolor: red\nfont.size: 30\ntext.usetex: True\ntimezone: Asia/Tokyo\n"
STARTUP = "import builtins\nbuiltins.STARTED = True\n"
# What a page would show of its surroundings.
CURIOUS = """
```{code-cell} ipython3
import os, sys, matplotlib as mpl
print(hash("recsys") % 1000, "STARTED" in dir(__builtins__), sys.flags.optimize)
print(mpl.rcParams["timezone"], mpl.rcParams["font.size"], os.environ.get("PYTHONSTARTUP"))
```
"""


def by_hand(folder: Path, *arguments: str, **surroundings: str) -> set[str]:
    """Build as a user would; return the pages that were executed."""
    command = ["jupyter-book", "build", *(arguments or ["."])]
    done = run(folder, *command, **{"CHROMIUM": "none", **surroundings})
    assert done.returncode == 0, done.stdout + done.stderr
    return set(EXECUTED.findall(done.stdout))


def edit(path: Path, old: str, new: str) -> None:
    """Replace a piece of a file."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def hostile(folder: Path) -> dict[str, str]:
    """Return surroundings in which everything that a user may have set is set."""
    other, home, profile = folder / "other", folder / "home", folder / "ipython"
    kernel = home / ".local" / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"
    files = {
        other / "recsys" / "__init__.py": "raise ImportError('another checkout')",
        other / "sitecustomize.py": STARTUP,
        home / ".config" / "matplotlib" / "matplotlibrc": RC,
        folder / "matplotlibrc": RC,
        folder / "startup.py": STARTUP,
        profile / "profile_default" / "startup" / "a.py": STARTUP,
        profile / "profile_default" / "ipython_kernel_config.py": (
            "c.InlineBackend.figure_formats = {'png'}\n"
        ),
        kernel: json.dumps({"argv": ["false"], "display_name": "Mine", "language": "python"}),
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return {
        "PYTHONPATH": str(other),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "JUPYTER_PREFER_ENV_PATH": "0",
        "MATPLOTLIBRC": str(folder / "matplotlibrc"),
        "MPLBACKEND": "agg",
        "PYTHONSTARTUP": str(folder / "startup.py"),
        "IPYTHONDIR": str(profile),
        "PYTHONOPTIMIZE": "1",
        "PYTHONHASHSEED": "7",
    }


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the small book, without maps of chapters, in a folder with a blank and an umlaut."""
    folder = write_book(tmp_path_factory.mktemp("small") / "mein Buch für alle")
    for name in ("01-first", "02-second"):
        edit(folder / "book" / name / "index.md", "```{chapter-map}\n```\n", "")
    page = folder / "book" / "02-second" / "only.md"
    page.write_text(page.read_text("utf-8") + CURIOUS, "utf-8")
    return folder


@pytest.fixture(scope="module")
def built(book: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the small book, built in hostile surroundings with figure settings beside its page."""
    (book / "book" / "02-second" / "matplotlibrc").write_text(RC, "utf-8")
    assert by_hand(book, **hostile(tmp_path_factory.mktemp("user"))) == EVERY
    return book


def cells(built: Path, name: str, folder: str = "_build/jupyter_execute") -> list:
    """Return the cells of an executed page."""
    return nbformat.read(built / folder / "book" / f"{name}.ipynb", as_version=4).cells


def test_surroundings_have_no_influence(built: Path):
    shown = [cell for cell in cells(built, "02-second/only") if cell.cell_type == "code"][-1]
    own = {"PYTHONHASHSEED": "0", "PATH": os.environ["PATH"]}
    seed = subprocess.run(
        [sys.executable, "-c", "print(hash('recsys') % 1000)"],
        env=own,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert shown.outputs[0].text == f"{seed} False 0\nUTC 11.0 None\n"
    figures = [
        output["data"]["image/svg+xml"]
        for name in ("01-first/zebra", "02-second/only")
        for cell in cells(built, name)
        for output in cell.get("outputs", [])
        if "image/svg+xml" in output.get("data", {})
    ]
    assert len(figures) == 2
    assert figures[0] == figures[1]  # one of the pages has figure settings beside it


def second_run(built: Path, *more: str, **surroundings: str) -> subprocess.CompletedProcess[str]:
    """Execute the pages again, as the README says."""
    command = ["python", "-m", "pytest", "-p", "nbval_glue", "--nbval", "--nbval-current-env"]
    return run(built, *command, "_build/jupyter_execute/book", *more, **surroundings)


def test_a_second_run_needs_no_surroundings_either(built: Path, tmp_path: Path):
    surroundings = hostile(tmp_path) | {"PYTHONOPTIMIZE": ""}  # pytest itself needs assertions
    done = second_run(built, **surroundings)
    assert done.returncode == 0, done.stdout
    counts = json.loads((built / "_build" / "second-run.json").read_text("utf-8"))
    assert set(counts) == {f"book/{name}" for name in EVERY}


def test_notebooks_to_take_away_are_plain(built: Path):
    for name in EVERY:
        taken = cells(built, name, "_build/html/_notebooks")
        text = "\n\n".join(cell.source for cell in taken if cell.cell_type == "markdown")
        assert not re.search(r"\{[\w:-]+\}`|^ *(`{3,}|:{3,})\{|^\([\w-]+\)=$", text, re.MULTILINE)
        number = {"01-first/zebra": "1.1", "01-first/ant": "1.2", "02-second/only": "2.1"}
        n = number.get(name, "A.1")
        for expected in (
            f"**Fig. {n}.** A rise.",
            f"**Table {n}.** A table",
            f"**Theorem {n} (Of ",
            f"**Exercise {n} (Warm up).**",
            f"$$\n1 < 2.\n\\tag{{{n}}}\n$$",
            f"[Theorem {n}](",
            "and 2.0.",
            "*Proof.* Count.",
            r"Writer \[[2007](../../../book/bibliography.html#",
        ):
            assert expected in text, (name, expected)
        code = [cell for cell in taken if cell.cell_type == "code"]
        of_build = [cell for cell in cells(built, name) if cell.cell_type == "code"]
        assert [(c.source, c.outputs) for c in code] == [(c.source, c.outputs) for c in of_build]
        site = built / "_build" / "html"
        for link in re.findall(r"\]\(([^)#]+)", text):
            assert (site / "_notebooks" / "book" / name).parent.joinpath(link).resolve().is_file()


def test_a_second_build_executes_nothing_and_an_edit_what_it_concerns(built: Path):
    assert by_hand(built) == set()
    assert by_hand(built) == set()
    module = built / "recsys" / "shop" / "world.py"  # of these pages the zebra alone imports it
    module.write_text(module.read_text("utf-8") + "\n# changed\n", "utf-8")
    record = built / "_build" / "second-run.json"
    record.write_text(json.dumps({"book/01-first/zebra": {}, "book/01-first/ant": {}}), "utf-8")
    assert by_hand(built) == {"01-first/zebra"}
    assert list(json.loads(record.read_text("utf-8"))) == ["book/01-first/ant"]
    edit(built / "book" / "01-first" / "ant.md", "1 + 1", "1 + 3")
    assert by_hand(built) == {"01-first/ant"}
    assert (built / "_build" / "html" / "_static" / "icons.css").exists()
    done = second_run(built, "-k", "ant")
    assert done.returncode == 0, done.stdout


def test_folders_for_pages_and_one_page_alone(built: Path):
    assert by_hand(built, ".", "--builder", "dirhtml", "-W", "-n", "--keep-going") == set()
    site = built / "_build" / "dirhtml"
    pages = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    assert len(pages) >= 10
    assert [problem for page in pages for problem in broken(page, folders=True)] == []
    assert (site / "_notebooks" / "book" / "01-first" / "ant.ipynb").exists()

    alone = by_hand(built, "book/02-second/only.md", "-W", "-n", "--keep-going")
    [page] = (built / "_build" / "_page").glob("*/html/only.html")
    assert alone == {"02-second/only"}
    assert by_hand(built, "book/02-second/only.md", "-W", "-n", "--keep-going") == set()
    text = BeautifulSoup(page.read_text("utf-8"), "html.parser").article.get_text(" ")
    text = " ".join(text.split())
    assert "On other pages: fig-ant , eq-zebra , Theorem 1 , ex-ant ," in text
    assert broken(page) == []


def files(built: Path, folder: str) -> list[str]:
    """Return the names of what a build made, without the copies of the sources."""
    found = (built / "_build" / folder).rglob("*")
    return [path.name for path in found if "_sources" not in path.parts]


def test_a_page_that_the_book_has_no_longer_leaves_nothing(built: Path):
    edit(built / "_toc.yml", "          - file: book/01-first/ant\n", "")
    for name in ("02-second/only", "01-first/index"):
        path = built / "book" / f"{name}.md"
        path.write_text(
            re.sub(r"On other pages:(.|\n)*?\.\n", "", path.read_text("utf-8")), "utf-8"
        )
    by_hand(built)
    left = [path for folder in ("html", "jupyter_execute") for path in files(built, folder)]
    assert "zebra.html" in left and "zebra.ipynb" in left
    assert not [name for name in left if name.startswith("ant.")]


# ------------------------------------------------------------------ given up, and no browser


def test_a_browser_that_cannot_start_leaves_a_site_without_links(tmp_path: Path):
    folder = write_book(tmp_path)
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 1\n", "utf-8")
    program.chmod(0o755)
    done = run(folder, "jupyter-book", "build", ".", "-W", "-n", CHROMIUM=str(program))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"No PDF edition. {program} is there and does not start" in done.stdout
    assert "WARNING" not in done.stdout + done.stderr  # nor do kernels warn of their connection
    pages = list((folder / "_build" / "html").rglob("*.html"))
    assert len(pages) >= 10
    assert not [page for page in pages if PDF_NAME in page.read_text("utf-8")]


def kernels(folder: Path) -> list[int]:
    """Return the processes that work in a folder below this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve().is_relative_to(folder / "book"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="processes are not listed in /proc")
def test_a_build_that_is_interrupted_ends_at_once_with_its_kernels(tmp_path: Path):
    folder = write_book(tmp_path)
    for name in EVERY:
        edit(folder / "book" / f"{name}.md", "assert 1 < 2", "import time; time.sleep(300)")
    own = os.environ | {"PYTHONPATH": str(folder), "CHROMIUM": "none"}
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "."]
    process = subprocess.Popen(
        command, cwd=folder, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 120
        while len(kernels(folder)) < 2 and time.monotonic() < until:
            time.sleep(0.2)
        time.sleep(5)
        assert kernels(folder)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) != 0
        assert kernels(folder) == []
    finally:
        process.kill()
        for number in kernels(folder):
            os.kill(number, signal.SIGKILL)
