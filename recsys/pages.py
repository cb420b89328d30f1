"""Large new tensors on large pages, where the operating system has them.

A new tensor has no memory yet: the system finds a page of 4 KiB when it is first written to, which
takes longer than writing it. Linux gives pages of 2 MiB to whoever asks; NumPy asks, torch does not
unless its environment says so. The numbers are the same with and without.
"""

from __future__ import annotations

import ctypes
import sys

import torch

LARGE = 2**22  # bytes from which asking pays
ADVICE = 14  # MADV_HUGEPAGE in Linux


def _madvise() -> ctypes._CFuncPtr | None:
    """Return the system's call, or None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    call = getattr(ctypes.CDLL(None), "madvise", None)
    if call is not None:
        call.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return call


MADVISE = _madvise()


def empty(like: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Return an uninitialised tensor of the dtype and on the device of another one."""
    new = like.new_empty(shape)
    size = new.numel() * new.element_size()
    if size >= LARGE and MADVISE is not None and new.device.type == "cpu":
        start = -(-new.data_ptr() // 4096) * 4096  # whole pages only
        MADVISE(start, (new.data_ptr() + size - start) // 4096 * 4096, ADVICE)  # may be refused
    return new
