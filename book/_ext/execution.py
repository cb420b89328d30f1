"""Execute the pages: two at a time, or, while one writes, only those whose code has changed.

A build executes every page from nothing. It does so here instead of in myst-nb, which would
execute one page after the other while it reads them. Pages with a cell tagged ``timing`` come
first, each alone on the machine; the others follow, two at a time, while Sphinx reads those that
are done. Each page has a kernel, and a process, of its own, so the order is of no influence.

A kernel gets from the machine only what `surroundings` lets through, and a page that was executed
with another checkout's `recsys` is refused. When a build is given up, so are its kernels.

What a build executed is kept in ``_build/executed``, under a name made of the page's cells, the
sources of the modules of ``recsys`` that they need, and the pinned environment. A build never
looks there. ``.ci/page`` does (`one_page.py` sets the environment variable below).
"""

import hashlib
import json
import os
import platform
import re
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter, sleep, time, time_ns
from typing import TextIO

import myst_nb.sphinx_
import nbformat
import numpy as np
from myst_nb.core.config import NbParserConfig
from myst_nb.core.execute import ExecutionError, NotebookClientBase, create_client
from myst_nb.core.loggers import LoggerType
from myst_nb.core.read import create_nb_reader
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging

from made_from import commit
from page_modules import Package
from surroundings import ROOT, OwnKernel, foreign, question, surroundings
from written import write_text

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows has none: there two builds at once are not noticed
    flock = None

AT_ONCE = min(2, os.cpu_count() or 1)
REUSE = "BOOK_REUSES_EXECUTED"  # where it is set, unchanged pages are not executed again
STORE, RECORD = "executed", "execution.json"
SECOND_RUN = "second-run.json"  # what `nbval_glue` found equal to this build's outputs
SOON = 20  # seconds within which a kernel that was ended is missed
# Seconds of `piece_of_work` on the machine for which limits of time are set.
REFERENCE = 0.0027
# A page whose cells read files or other code depends on more than is looked at here.
READS_FILES = re.compile(r"\bread_text\(|\bopen\(|\bsys\.path\b|\bload(?:txt|_json)?\(|\.read\(")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Executed:
    """An executed notebook, or why its execution failed."""

    notebook: NotebookNode
    seconds: float
    error: Exception | None = None
    report: str | None = None
    reused: bool = False
    made_from: str = "unknown"  # the commit
    started: int = 0  # microseconds, as Sphinx keeps the age of a page


class ForeignPackageError(Exception):
    """A page was executed with modules of `recsys` that are not this checkout's."""


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def sources(notebook: NotebookNode) -> list[str]:
    """Return the code of every cell."""
    return [cell.source for cell in code_cells(notebook)]


def measures_time(notebook: NotebookNode) -> bool:
    """Tell whether the notebook has cells that measure time."""
    return any("timing" in cell.metadata.get("tags", []) for cell in notebook.cells)


def digest(root: Path, notebook: NotebookNode) -> tuple[str, set[Path]]:
    """Return the name under which an execution is kept, and the files of recsys behind it."""
    package, cells = Package(root), code_cells(notebook)
    modules = sorted(package.used_by(cell.source for cell in cells))
    files = {module: package.file(module) for module in modules}
    parts = [
        platform.python_version(),
        (root / "requirements.txt").read_text("utf-8"),
        (root / ".ci" / "constraints.txt").read_text("utf-8"),
        *(f"{cell.source}\0{sorted(cell.metadata.get('tags', []))}" for cell in cells),
        *(
            f"{module}\0{file.read_text('utf-8')}"
            for module, file in files.items()
            if not package.is_face(module)  # what a face names is already followed
        ),
    ]
    return hashlib.sha256("\0\0".join(parts).encode()).hexdigest()[:32], set(files.values())


def execute(
    notebook: NotebookNode,
    folder: Path,
    timeout: int | None,
    build: Path,
    running: set[NotebookClient] | None = None,
) -> Executed:
    """Execute a copy of the notebook in a kernel of its own.

    Parameters
    ----------
    notebook
        The page.
    folder
        The page's folder, in which the kernel works.
    timeout
        Seconds for one cell.
    build
        The folder of the build, which keeps the kernel's caches.
    running
        Holds the client while it executes, for who must end it.
    """
    copy = deepcopy(notebook)
    copy.cells.append(question())
    began, start, error, report = time_ns() // 1000, perf_counter(), None, None
    place = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        copy, timeout=timeout, resources=place, kernel_manager_class=OwnKernel, record_timing=True
    )
    running = set() if running is None else running
    running.add(client)
    try:
        client.execute(env=surroundings(build))
        if found := foreign(copy.cells[-1]):
            raise ForeignPackageError(
                f"recsys was imported from {', '.join(found)}; expected {ROOT / 'recsys'}"
            )
    except (CellExecutionError, CellTimeoutError, DeadKernelError, ForeignPackageError) as failure:
        error, report = failure, traceback.format_exc()
    finally:
        running.discard(client)
    copy.cells.pop()
    return Executed(copy, perf_counter() - start, error, report, started=began)


def piece_of_work() -> None:
    """Do what a page's cells mostly do: small products of arrays, and Python between them."""
    rows, matrices = np.ones((50, 9)), np.ones((50, 9, 9))
    for _ in range(400):
        scores = np.vecdot(np.matvec(matrices, rows), rows)
        sum(range(200))
        scores.argmax()


def pace() -> float:
    """Return how many times as long as on the reference machine work takes here, now."""
    times = []
    for _ in range(5):
        start = perf_counter()
        piece_of_work()
        times.append(perf_counter() - start)
    return min(times) / REFERENCE


def hold(build: Path) -> TextIO:
    """Return an open file that keeps other builds out of the folder while it is open.

    Raises
    ------
    ExtensionError
        If another build is at work there.
    """
    build.mkdir(parents=True, exist_ok=True)
    file = (build / ".at-work").open("w")
    try:
        if flock:
            flock(file, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ExtensionError(f"Another build is at work in {build}: wait until it ends") from None
    return file


class Pages:
    """The pages of one build and their executions."""

    def __init__(self, app: Sphinx) -> None:
        self.app = app
        self.root, self.build = ROOT, Path(app.outdir).parent
        self.store = Path(os.environ.get(REUSE) or self.build / STORE)
        self.reuses = bool(os.environ.get(REUSE))
        self.pool = ThreadPoolExecutor(AT_ONCE)
        self.ahead: dict[str, Future[Executed]] = {}  # by the path of the page
        self.running: set[NotebookClient] = set()
        self.started: dict[str, int] = {}  # when its execution began, by the name of the page
        self.files: dict[str, set[Path]] = {}  # what it was executed from
        self.made_from = commit(self.root)
        self.lock = hold(self.build)
        self.pace = 1.0 if self.reuses else pace()  # before the pages keep the machine busy

    def read(self, path: Path) -> NotebookNode | None:
        """Return a page as a notebook, or None where it has no cells."""
        env, text = self.app.env, path.read_text("utf-8")
        reader = create_nb_reader(str(path), env.myst_config, env.mystnb_config, text)
        notebook = None if reader is None else reader.read(text)
        return notebook if notebook is not None and code_cells(notebook) else None

    def execution(self, notebook: NotebookNode, path: Path, name: str) -> Executed:
        """Return the page executed, from the store where that is asked for and right.

        This runs in threads of the pool, and ``name``, its digest, is made before: Python's parser
        fails now and then where two threads use it at one time.
        """
        kept = self.store / f"{name}.json"
        own_inputs = not any(READS_FILES.search(cell.source) for cell in code_cells(notebook))
        if self.reuses and own_inputs and kept.exists():
            found = json.loads(kept.read_text("utf-8"))
            return Executed(
                nbformat.from_dict(found["notebook"]),
                found["seconds"],
                reused=True,
                made_from=found.get("made_from", "unknown"),
                started=time_ns() // 1000,
            )
        timeout = self.app.env.mystnb_config.execution_timeout
        done = execute(notebook, path.parent, timeout, self.build, self.running)
        done = replace(done, made_from=self.made_from)
        if done.error is None:
            page = path.relative_to(self.root).with_suffix("").as_posix()
            entry = {"page": page, "notebook": done.notebook, "seconds": done.seconds}
            write_text(kept, json.dumps(entry | {"made_from": done.made_from}))
        return done

    def start(self, paths: Iterable[Path]) -> None:
        """Execute the pages that measure time, one by one; begin with the others behind us."""
        notebooks = {path: self.read(path) for path in paths}
        pages = {path: notebook for path, notebook in notebooks.items() if notebook is not None}
        names = {path: digest(self.root, notebook)[0] for path, notebook in pages.items()}
        alone = [path for path, notebook in pages.items() if measures_time(notebook)]
        for path in [*alone, *(path for path in pages if path not in alone)]:
            future = self.pool.submit(self.execution, pages[path], path, names[path])
            self.ahead[str(path)] = future
            if path in alone and (failed := future.result().error):
                logger.info(f"{path.name}: {type(failed).__name__}")

    def get(self, notebook: NotebookNode, path: Path) -> Executed:
        """Return the execution of a page, waiting for it if need be."""
        future = self.ahead.pop(str(path), None)
        done = None if future is None else future.result()
        if done is None or sources(done.notebook) != sources(notebook):  # edited meanwhile
            done = self.execution(notebook, path, digest(self.root, notebook)[0])
        if done.error is not None:  # the build ends: let it not wait for pages that nobody sees
            self.stop()
        self.started[self.app.env.path2doc(str(path))] = done.started
        return done

    def stop(self) -> None:
        """Begin no further page, and end the kernels at work."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        until = perf_counter() + SOON
        while self.running and perf_counter() < until:
            for client in list(self.running):
                provisioner = client.km and client.km.provisioner  # none while the kernel starts
                if process := getattr(provisioner, "process", None):
                    process.kill()
            sleep(0.1)


class ExecutedAhead(NotebookClientBase):
    """Gives myst-nb the outputs of a page that was executed here."""

    def start_client(self) -> None:
        """Put the outputs into the notebook that myst-nb renders."""
        done: Executed = self._kwargs["pages"].get(self.notebook, self.path)
        if done.error is not None:
            message = f"Executing notebook failed: {type(done.error).__name__}"
            if self.nb_config.execution_show_tb:
                message += f"\n{done.report}"
            self.logger.warning(message, subtype="exec")
            raise ExecutionError(str(self.path)) from done.error
        for cell, executed in zip(self.notebook.cells, done.notebook.cells, strict=True):
            if cell.cell_type == "code":
                cell.outputs = executed.outputs
                cell.execution_count = executed.execution_count
        self.notebook.metadata["language_info"] = done.notebook.metadata["language_info"]
        verb = "Took the outputs of an earlier execution of" if done.reused else "Executed in"
        self.logger.info(f"{verb} {done.seconds:.2f} seconds")
        self.exec_metadata = {
            "mtime": time(),
            "runtime": done.seconds,
            "method": self.nb_config.execution_mode,
            "succeeded": True,
            "error": None,
            "traceback": None,
            "made_from": done.made_from,
        }


def take_over(app: Sphinx) -> None:
    """Let myst-nb ask here for the outputs of the pages that it would execute."""
    pages = app.executed_pages = Pages(app)

    def client(
        notebook: NotebookNode,
        source: str,
        nb_config: NbParserConfig,
        logger: LoggerType,
        read_fmt: dict | None = None,
    ) -> NotebookClientBase:
        if nb_config.execution_mode != "force":
            return create_client(notebook, source, nb_config, logger, read_fmt)
        if not code_cells(notebook):
            return NotebookClientBase(notebook, Path(source), nb_config, logger)
        return ExecutedAhead(notebook, Path(source), nb_config, logger, pages=pages)

    myst_nb.sphinx_.create_client = client
    app.build = until_given_up(app.build, pages)


def until_given_up(build: Callable[..., None], pages: Pages) -> Callable[..., None]:
    """Return the build, with the pages' kernels ended when it is interrupted or fails."""

    def build_or_stop(*args: object, **kwargs: object) -> None:
        try:
            build(*args, **kwargs)
        except BaseException:
            pages.stop()
            raise
        finally:
            pages.lock.close()

    return build_or_stop


def execute_ahead(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Begin to execute the pages that are about to be read."""
    if env.mystnb_config.execution_mode == "force":
        app.executed_pages.start(Path(env.doc2path(name)) for name in docnames)


def keep_record(app: Sphinx, error: Exception | None) -> None:
    """Write how long each page took, and how fast the machine is, for the tests."""
    if error is None:
        known = {name: data.get("exec_data") for name, data in app.env.nb_metadata.items()}
        pages = {name: {"seconds": ran["runtime"]} for name, ran in known.items() if ran}
        record = {"pace": app.executed_pages.pace, "pages": pages}
        write_text(app.executed_pages.build / RECORD, json.dumps(record, indent=1))


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Remove what was executed for a page that is read anew."""
    build = app.executed_pages.build
    if (record := build / SECOND_RUN).exists():  # what it was compared with is removed here
        known = json.loads(record.read_text("utf-8"))
        write_text(record, json.dumps({p: n for p, n in known.items() if p != docname}, indent=1))
    for ending in (".ipynb", ".glue.json"):
        (build / "jupyter_execute" / f"{docname}{ending}").unlink(missing_ok=True)


def note_age(app: Sphinx, env: BuildEnvironment) -> None:
    """Let no edit be overlooked that was made while the page was executed."""
    pages = app.executed_pages
    for docname, started in pages.started.items():
        if any(file.stat().st_mtime_ns // 1000 > started for file in pages.files.get(docname, ())):
            env.all_docs[docname] = started


def note_modules(app: Sphinx, doctree: object) -> None:
    """Let Sphinx read a page again when a module that its cells need has changed."""
    pages, page = app.executed_pages, Path(app.env.doc2path(app.env.docname))
    notebook = pages.read(page)
    if notebook is not None:
        modules = digest(pages.root, notebook)[1]
        pages.files[app.env.docname] = {page, *modules}
        for file in modules:
            app.env.note_dependency(str(file))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the execution with Sphinx; after myst-nb has made its configuration."""
    app.connect("builder-inited", take_over, priority=700)
    app.connect("env-before-read-docs", execute_ahead)
    app.connect("env-purge-doc", forget)
    app.connect("doctree-read", note_modules)
    app.connect("env-updated", note_age)
    app.connect("build-finished", keep_record)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
