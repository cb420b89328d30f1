"""Which machine and which versions a run was measured on. No names of hosts, users or folders."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import scipy.linalg  # noqa: F401 (it has a BLAS of its own, which is to be listed)
import torch
from threadpoolctl import threadpool_info

HERE = Path(__file__).parent
OURS = ("numpy", "scipy", "torch", "threadpoolctl")  # of the book's own packages
LISTS = ("requirements.txt", "no-deps.txt")  # what the benchmarks add


def hardware() -> dict[str, object]:
    """Return the processor, the memory, the system and its Python as plain values."""
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "memory_gb": memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def describe() -> dict[str, object]:
    """Return the machine and the versions as plain values."""
    return {
        **hardware(),
        "versions": versions(),
        "blas": kernels(),
        "torch_vectors": torch.backends.cpu.get_cpu_capability(),
        "torch_mkl": torch.backends.mkl.is_available(),
        "numpy_vectors": numpy_vectors(),
    }


def cpu() -> str:
    """Return the name of the processor's model."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text("utf-8")) if info.exists() else None
    return found[1].strip() if found else platform.processor() or "unknown"


def memory() -> int | None:
    """Return the memory in whole gigabytes (10⁹ bytes), where the system tells."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)
    except (AttributeError, ValueError, OSError):
        return None


def versions() -> dict[str, str]:
    """Return the installed versions of the packages that take part."""
    names = list(OURS)
    for file in LISTS:
        names += re.findall(r"^([\w-]+)==", (HERE / file).read_text(), flags=re.MULTILINE)
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def kernels() -> list[str]:
    """Return each loaded BLAS with its version and the kernel that runs, whatever was asked for.

    The variables OPENBLAS_CORETYPE and the like change the kernel, so what was loaded is asked.
    """
    return sorted(
        {
            f"{lib['internal_api']} {lib['version']} ({lib.get('architecture', 'unknown kernel')})"
            for lib in threadpool_info()
            if lib["user_api"] == "blas"
        }
    )


def numpy_vectors() -> list[str]:
    """Return the vector instructions that NumPy uses beyond those it was built for."""
    return np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
