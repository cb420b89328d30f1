"""A Dask scheduler and workers as processes of this machine, on its loopback address.

The same commands as on a real cluster, ``dask scheduler`` and ``dask worker``, so that what is
tested and measured here is what a reader starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

# Small operations on several threads of a busy machine wait for each other.
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")}
HERE = ("--host", "127.0.0.1", "--no-dashboard")  # nothing listens elsewhere
PATIENCE = 30.0  # seconds for a process to start or to end


class Loopback:
    """A context in which a scheduler and single-threaded workers run.

    Parameters
    ----------
    n_workers : int
    folder : path
        An empty folder for the scheduler's address, the workers' files and all logs.

    Attributes
    ----------
    address : str
        Of the scheduler; the system chooses its port.
    workers : list of subprocess.Popen
        In the order of their start, dead ones included.
    """

    def __init__(self, n_workers: int, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.address = ""
        self.workers: list[subprocess.Popen] = []
        self._n_workers = n_workers
        self._scheduler: subprocess.Popen | None = None

    def __enter__(self) -> Loopback:
        try:
            # Left without work for ten minutes, it ends and its workers with it: whatever happens
            # to this process, nothing stays behind.
            file = self.folder / "scheduler.json"
            ports = ("--port", "0", "--dashboard-address", "127.0.0.1:0")  # any that are free
            ends = ("--idle-timeout", "10 minutes")
            self._scheduler = self._start("scheduler", *ports, *ends, "--scheduler-file", str(file))
            self.address = self._wait_for_address(file)
            for _ in range(self._n_workers):
                self.add_worker()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def add_worker(self) -> subprocess.Popen:
        """Start one more worker; it joins as soon as it is ready."""
        name = f"worker-{len(self.workers)}"
        options = (self.address, "--name", name, "--nthreads", "1", "--no-nanny")
        limits = ("--memory-limit", "0", "--death-timeout", str(int(PATIENCE)))
        files = ("--local-directory", str(self.folder))
        self.workers.append(self._start("worker", *options, *limits, *files, log=name))
        return self.workers[-1]

    def close(self) -> None:
        """End all processes, the workers first, and wait until they are gone."""
        processes = [*self.workers, *([self._scheduler] if self._scheduler else [])]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(PATIENCE / 3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, command: str, *options: str, log: str | None = None) -> subprocess.Popen:
        with (self.folder / f"{log or command}.log").open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", command, *HERE, *options],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | ONE_THREAD,
            )

    def _wait_for_address(self, file: Path) -> str:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self._scheduler.poll() is None:
            try:
                return json.loads(file.read_text("utf-8"))["address"]
            except (FileNotFoundError, json.JSONDecodeError):  # not there, or half written
                time.sleep(0.05)
        log = (self.folder / "scheduler.log").read_text("utf-8", "replace")
        raise RuntimeError(f"the scheduler did not start:\n{log}")
