"""Execute the pages in worlds that nobody looked at before: ``bash .ci/replicate``.

Every cell runs as it stands, with another value of ``RECSYS_WORLDS``, which the package adds to
every seed. Each claim is asserted by itself, so that one that fails hides no other. Outputs are not
compared, for they are about other worlds. Times are not asserted: they belong to no world.

In the range of continuous integration the claims that fail must be those of the list of known
failures, no more and no fewer, and the record in the repository must say what was found. Excepted
are claims of the list that hold or fail with the processor: a tie that the last digit of a product
decides makes another experiment of the same seeds.
"""

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from pathlib import Path
from time import perf_counter

from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from claims import asserts, claims, is_claim
from execution import AT_ONCE, measures_time
from surroundings import ROOT, OwnKernel, surroundings
from written import write_text

VARIABLE = "RECSYS_WORLDS"
ROUNDING = "by rounding: "  # how the reason of such a claim begins
RANGE = 1000  # that of continuous integration, and of the record; it was chosen before any result
RECORD, KNOWN = ROOT / ".ci" / "unseen-worlds.json", ROOT / ".ci" / "known-failures.json"
LONGEST = 900  # seconds of one cell
COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # of a traceback
COUNT = "__held"  # of the kernel: for each claim whether it held, or what was raised instead
# A range of its own for each week: no page asks for more than a thousand seeds, and weeks are
# farther apart than that.
FIRST_WEEK, APART = date(2026, 1, 5), 10_000


@dataclass
class Found:
    """What became of a page's claims."""

    page: str
    names: list[str]
    held: list[bool] = field(default_factory=list)  # of each claim; shorter if the page broke off
    error: str = ""
    seconds: float = 0.0

    @property
    def failed(self) -> list[str]:
        """Return the claims that did not hold, those that were not reached among them."""
        reached = self.held + [False] * (len(self.names) - len(self.held))
        return [name for name, held in zip(self.names, reached, strict=True) if not held]


def pages(root: Path = ROOT) -> list[Path]:
    """Return the paths of all pages."""
    return sorted(p for p in (root / "book").rglob("*.md") if not p.name.startswith("_"))


def read(path: Path) -> NotebookNode | None:
    """Return a page as a notebook, or None where it claims nothing."""
    text = path.read_text("utf-8")
    if "code-cell" not in text:
        return None
    notebook = read_myst_markdown_notebook(text, MdParserConfig(), add_source_map=False)
    return notebook if claims(notebook) else None


def by_itself(statement: ast.stmt, note: str) -> str:
    """Return the code of a statement whose failure is noted and goes no further."""
    indented = "\n".join("    " + line for line in ast.unparse(statement).splitlines())
    return f"try:\n{indented}\nexcept {note}"


def tolerant(cell: NotebookNode) -> str:
    """Return the code of a cell in which each claim is asserted by itself, and no time at all."""
    timing = "timing" in cell.metadata.get("tags", [])
    if not (is_claim(cell) or timing):
        return cell.source
    lines = []
    for statement in ast.parse(cell.source).body:
        if not asserts(statement):
            lines.append(ast.unparse(statement))
        elif is_claim(cell):
            note = f"Exception as {COUNT}_error:\n    {COUNT}.append(repr({COUNT}_error))"
            lines.append(f"{by_itself(statement, note)}\nelse:\n    {COUNT}.append(True)")
        else:
            lines.append(by_itself(statement, "AssertionError:\n    pass"))
    if is_claim(cell):
        lines.append(f"__import__('sys').stdout.write(__import__('json').dumps({COUNT}))")
    return "\n".join(lines)


def prepared(notebook: NotebookNode) -> NotebookNode:
    """Return the page's cells, those with claims telling which have held so far."""
    copy = deepcopy(notebook)
    copy.cells = [cell for cell in copy.cells if cell.cell_type == "code"]
    for cell in copy.cells:
        cell.source = tolerant(cell)
    copy.cells = [new_code_cell(f"{COUNT} = []"), *copy.cells]
    return copy


def told(notebook: NotebookNode) -> list[bool | str]:
    """Return what the last cell with claims that was executed has told of all so far."""
    answers = []
    for cell in filter(is_claim, notebook.cells):
        said = "".join(o.get("text", "") for o in cell.outputs if o.get("name") == "stdout")
        answers = json.loads(said) if said else answers
    return answers


def try_page(path: Path, notebook: NotebookNode, worlds: int, build: Path) -> Found:
    """Execute a page in the range of worlds and return what became of its claims."""
    page = path.relative_to(ROOT).with_suffix("").as_posix()
    found, copy, start = Found(page, claims(notebook)), prepared(notebook), perf_counter()
    client = NotebookClient(
        copy,
        timeout=LONGEST,
        resources={"metadata": {"path": str(path.parent)}},
        kernel_manager_class=OwnKernel,
    )
    # Figures are drawn for nobody: the claims do not look at them.
    env = surroundings(build) | {VARIABLE: str(worlds), "MPLBACKEND": "agg"}
    try:
        client.execute(env=env)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as failure:
        found.error = COLOUR.sub("", str(failure)).strip().splitlines()[-1]
    answers = told(copy)
    found.held = [answer is True for answer in answers]
    raised = {a for a in answers if a is not True and not a.startswith("AssertionError")}
    found.error = "; ".join([*sorted(raised), *([found.error] if found.error else [])])
    found.seconds = perf_counter() - start
    return found


def try_all(paths: Iterable[Path], worlds: int, build: Path) -> list[Found]:
    """Execute the pages, two at a time except for those that measure time."""
    notebooks = {path: notebook for path in paths if (notebook := read(path)) is not None}
    alone = [path for path, notebook in notebooks.items() if measures_time(notebook)]
    others = [path for path in notebooks if path not in alone]

    def one(path: Path) -> Found:
        found = try_page(path, notebooks[path], worlds, build)
        print(line(found), flush=True)
        return found

    results = {path: one(path) for path in alone}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results |= dict(zip(others, pool.map(one, others), strict=True))
    return [results[path] for path in notebooks]


def line(found: Found) -> str:
    """Return a page's row of the table, with the names of its claims that failed below it."""
    n, failed = len(found.names), found.failed
    row = f"{found.page:<52}{n:>7}{n - len(failed):>6}{len(failed):>8}{found.seconds:>9.0f} s"
    rows = [row, *(f"    failed: {name}" for name in failed)]
    return "\n".join([*rows, f"    {found.error}"] if found.error else rows)


def table(results: list[Found], worlds: int) -> str:
    """Return the whole table."""
    n, failed = (
        sum(len(part) for part in parts)
        for parts in ([r.names for r in results], [r.failed for r in results])
    )
    head = f"{f'worlds {worlds}, {worlds + 1}, …':<52}{'claims':>7}{'held':>6}{'failed':>8}"
    total = f"{'all pages':<52}{n:>7}{n - failed:>6}{failed:>8}"
    return "\n".join([head, *map(line, results), total])


def record_of(results: list[Found], worlds: int) -> dict:
    """Return what the repository keeps: the claims of each page that held, and that failed."""
    found = {
        r.page: {"held": [n for n in r.names if n not in r.failed], "failed": r.failed}
        for r in results
    }
    return {"worlds": worlds, "pages": found}


def load(path: Path) -> dict:
    """Return what a file of the repository holds, or nothing where it is not there."""
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def complaints(results: list[Found], known: dict[str, dict[str, str]], strict: bool) -> list[str]:
    """Return how the claims that failed differ from those that are known to.

    Parameters
    ----------
    results
        What was found.
    known
        For each page the claims that may fail, each with what it waits for.
    strict
        Whether a known failure that holds, or is no claim of its page any more, is a complaint.
    """
    said = []
    for found in results:
        listed = known.get(found.page, {})
        said += [f"{found.page}: fails: {n}" for n in found.failed if n not in listed]
        if strict:
            said += [
                f"{found.page}: is listed as a known failure and holds, or is gone: {name}"
                for name in listed
                if name not in found.failed
                and not (name in decided_by_rounding(listed) and name in found.names)
            ]
    return said


def decided_by_rounding(listed: dict[str, str]) -> set[str]:
    """Return the claims of a page's list that hold on one processor and fail on another."""
    return {name for name, why in listed.items() if why.startswith(ROUNDING)}


def agree(one: dict[str, list[str]], other: dict[str, list[str]], listed: dict[str, str]) -> bool:
    """Tell whether two records of a page say the same, what rounding decides left aside."""
    aside = decided_by_rounding(listed)
    kept = [
        {k: [n for n in names if n not in aside] for k, names in r.items()} for r in (one, other)
    ]
    names = [sorted(chain(*record.values())) for record in (one, other)]
    return kept[0] == kept[1] and names[0] == names[1]


def of_the_week(today: date) -> int:
    """Return the range of the week in which the day lies."""
    return APART * (1 + (today - FIRST_WEEK).days // 7)


def parser() -> argparse.ArgumentParser:
    """Return what reads the command's arguments."""
    reader = argparse.ArgumentParser(prog=".ci/replicate", description=__doc__.splitlines()[0])
    reader.add_argument("pages", nargs="*", type=Path, help="only these, such as book/index.md")
    which = reader.add_mutually_exclusive_group()
    which.add_argument("--worlds", type=int, default=RANGE, help="added to every seed")
    which.add_argument("--by-date", action="store_true", help="the range of this week")
    reader.add_argument("--record", action="store_true", help="keep what is found as the record")
    return reader


def main(arguments: list[str] | None = None) -> int:
    """Execute, print the table and return 1 if something is otherwise than the lists say."""
    reader = parser()
    chosen = reader.parse_args(arguments)
    worlds = of_the_week(date.today()) if chosen.by_date else chosen.worlds
    if worlds < RANGE:
        reader.error(
            f"--worlds: got {worlds}, expected {RANGE} or more: the pages show those below"
        )
    if chosen.record and worlds != RANGE:
        reader.error(f"--record: got worlds {worlds}, expected {RANGE}, whose record is kept")
    paths = [path.resolve() for path in chosen.pages] or pages()
    if wrong := [str(path) for path in paths if path not in pages()]:
        reader.error(f"pages: got {', '.join(wrong)}, expected paths of pages below book/")
    results = try_all(paths, worlds, ROOT / "_build")
    print("\n" + table(results, worlds), flush=True)

    known, kept = load(KNOWN), load(RECORD)
    found = record_of(results, worlds)
    said = complaints(results, known, strict=worlds == RANGE)
    gone = [] if chosen.pages else [page for page in known if page not in found["pages"]]
    said += [f"{page}: is no page with claims, but has known failures" for page in gone]
    if chosen.record:
        before = kept.get("pages", {}) if chosen.pages else {}
        entries = dict(sorted((before | found["pages"]).items()))
        write_text(RECORD, json.dumps(found | {"pages": entries}, indent=1) + "\n")
    elif worlds == RANGE:
        said += [
            f"{page}: the record says otherwise; renew it: bash .ci/replicate --record"
            for page, claims_found in found["pages"].items()
            if not agree(kept.get("pages", {}).get(page, {}), claims_found, known.get(page, {}))
        ]
    for complaint in said:
        print(complaint)
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main())
