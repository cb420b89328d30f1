"""What a computation in torch costs besides its time: calls, operations, bytes, peak memory.

A time depends on the machine and on the hour. These counts do not: they are those of the calls that
reach torch's kernels, below autograd and ``vmap``, so they say what a way of computing asks for.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "baddbmm_", "mv", "dot"}
ELEMENTWISE = {"add", "sub", "rsub", "mul", "div", "neg", "square", "pow", "sqrt", "reciprocal"}
ELEMENTWISE |= {"relu", "clamp_min", "threshold_backward", "sum", "linalg_vector_norm"}
CREATING = {"empty", "new_empty", "empty_like", "empty_strided", "new_empty_strided"}


class Tally(TorchDispatchMode):
    """Counts what happens inside ``with Tally() as tally``.

    Attributes
    ----------
    calls : int
        Calls of torch's operators, views among them.
    flops : int
        Multiplications and additions: n (2k - 1) for a matrix product of n results over k terms,
        one for each element of an elementwise operation or a sum.
    moved : int
        Bytes of all arguments and results of calls that are no views: the traffic if no call found
        anything in the cache.
    peak : int
        Largest number of bytes that tensors made inside took at one time. What was there before,
        such as a buffer for the result, does not count.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.flops = self.moved = self.peak = self._live = 0
        self._sizes: dict[int, int] = {}  # bytes of the storages that were made inside

    def __torch_dispatch__(
        self,
        func: Callable,
        types: tuple,
        args: tuple = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        """Carry out one call and count it."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        self.calls += 1
        if func.is_view:
            return result
        name = func.overloadpacket.__name__
        read = list(_tensors((args, {k: v for k, v in kwargs.items() if k != "out"})))
        written = list(_tensors(result))
        if name not in CREATING:
            self.moved += sum(x.numel() * x.element_size() for x in read + written)
        self.flops += _operations(name, read, written)
        known = {x.untyped_storage()._cdata for x in [*read, *_tensors(kwargs.get("out"))]}
        for x in written:
            self._follow(x, known)
        return result

    def _follow(self, x: torch.Tensor, known: set[int]) -> None:
        """Count the memory of x until its storage is freed."""
        storage = x.untyped_storage()
        key = storage._cdata
        if key in self._sizes or key in known:
            return
        self._sizes[key] = storage.nbytes()
        self._live += storage.nbytes()
        self.peak = max(self.peak, self._live)
        weakref.finalize(storage, self._free, key)

    def _free(self, key: int) -> None:
        self._live -= self._sizes.pop(key)


def count(work: Callable[[], object]) -> Tally:
    """Return the tally of one call of ``work``, whose result is dropped."""
    with Tally() as tally:
        work()
    return tally


def _tensors(tree: object) -> Iterator[torch.Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))


def _operations(name: str, read: list[torch.Tensor], written: list[torch.Tensor]) -> int:
    if name in PRODUCTS:
        left, right = read[-2:]
        terms = left.shape[-1]
        if terms == 0:
            return 0
        n = left.numel() // terms * (right.shape[-1] if right.ndim == left.ndim > 1 else 1)
        return n * (2 * terms - 1) + (n if len(read) == 3 else 0)
    if name in ("addr", "addr_"):
        return 3 * written[0].numel()
    if name.removesuffix("_") in ELEMENTWISE:
        return max(x.numel() for x in read + written)
    return 0
