"""The arm with the largest upper confidence bound, without the bounds of the others.

The largest of K bounds f + α √s is all that a decision asks for. As soon as one bound is known,
say b, an arm can only win if its squared width s is ((b - f) / α)² or more. The means f of all arms
cost a forward pass. For s there are bounds from above that cost less than s (``rivals`` of each
form of ``memory.GradientMemory``), and most arms stay below what they need even by those.

The answer is exact: an arm is left out only if a bound from above of its own bound is less than the
bound of another arm by more than rounding can explain (half of the digits). Whoever is left is
scored in the usual way, so ties among the best are ties here as well; in
the dual form up to rounding, for its products of whole gradients round by their place in a batch.

Shapes: K arms, one world.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

import numpy as np
import torch

from recsys.gradients import Factors, chunks
from recsys.neural.diagonal_memory import DiagonalMemory
from recsys.neural.dual_memory import KernelMemory
from recsys.neural.memory import GradientMemory

STRIP = 128  # rounds after which arms that cannot win any more are left out
Rivals = Callable[[Factors, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def looked_at(memory: GradientMemory) -> int:
    """Return how many arms are looked at together."""
    return 1_024 if isinstance(memory, KernelMemory) else 2_048


def contenders(
    factors_of: Callable[[np.ndarray], Factors],
    memory: GradientMemory,
    alpha: float,
    rows: np.ndarray,
) -> np.ndarray:
    """Return the numbers of the rows that may have the largest f + α √(c g·Z⁻¹·g), in order.

    Parameters
    ----------
    factors_of : callable
        Returns the factors of rows (n, d).
    memory : GradientMemory
        Whose bonus c g·Z⁻¹·g is.
    alpha : float
        The weight α, more than 0.
    rows : ndarray (K, d)
    """
    best = -np.inf  # the largest bound so far
    seen: list[tuple[int, torch.Tensor, torch.Tensor]] = []
    ask = rivals(memory)
    for part in chunks(len(rows), looked_at(memory)):
        found = factors_of(rows[part])
        mean = found.scores.to(memory.dtype)  # (n,)
        slack = torch.finfo(found.scores.dtype).eps ** 0.5
        floor = best - slack * max(abs(best), float(mean.abs().max()))
        needed = ((floor - mean) / alpha).clamp_min_(0.0).square_()
        which, squared = ask(found, needed)
        bounds = mean[which].add_(squared.sqrt(), alpha=alpha)
        if len(which):
            best = max(best, float(bounds.max()))
        seen.append((part.start, which, bounds))
    return np.concatenate(
        [start + which[~(bounds < floor)].cpu().numpy() for start, which, bounds in seen]
    )


@singledispatch
def rivals(memory: GradientMemory) -> Rivals:
    """Return what tells which of K arms have the bonus ``needed`` (K,) or more, and how much."""

    def by_bonus(factors: Factors, needed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        squared = memory.bonus(factors)
        which = reaching(squared, needed, squared)
        return which, squared[which]

    return by_bonus


@rivals.register
def _(memory: DiagonalMemory) -> Rivals:
    majorants = [(*_majorant(D), d) for D, d in memory.layers_of(memory._inverse)]

    def by_majorants(factors: Factors, needed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        factors = memory._checked(factors)
        ceiling = torch.zeros_like(factors.scores)
        for (a, delta, _), (u, v, d) in zip(factors.layers(), majorants, strict=True):
            squares = delta.square()
            ceiling += (a.square() @ v).mul_(squares @ u)
            if d is not None:
                ceiling += squares @ d
        ceiling *= memory.scale
        which = reaching(ceiling, needed, ceiling)
        return which, memory._bonus(factors.take(which))

    return by_majorants


@rivals.register
def _(memory: KernelMemory) -> Rivals:
    def by_strips(factors: Factors, needed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        factors = memory._checked(factors)
        first = memory.scale * factors.squared_norms()  # (K,)
        squared, needed = first, memory.ridge * needed
        which = torch.arange(len(first), device=memory.device)
        k = first.new_empty((len(first), memory.rounds))
        for rounds, strip in memory.cholesky.strips(STRIP):
            left = reaching(squared, needed, first)
            if len(left) < 0.9 * len(which):  # else it is not worth the copies
                which, needed, first, squared = (x[left] for x in (which, needed, first, squared))
                factors, known = factors.take(left), k[left, : rounds.start]
                k = k[: len(left)]
                k[:, : rounds.start] = known
            k[:, rounds] = memory._cross(factors, rounds).mT
            squared = squared - (k[:, : rounds.stop] @ strip.mT).square_().sum(dim=-1)
        left = reaching(squared, needed, first)
        return which[left], (squared[left] / memory.ridge).clamp_min_(0.0)

    return by_strips


def _majorant(D: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return u (h) and v (w) with D ≤ u vᵀ in every place of a positive D, and nearly equal."""
    v = (D / D.mean(dim=-1, keepdim=True)).amax(dim=-2)
    return (D / v).amax(dim=-1), v


def reaching(squared: torch.Tensor, needed: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Return the places where ``squared`` is ``needed`` or more up to rounding, or no number.

    ``size`` is that of the numbers that ``squared`` was computed from: half of their digits count.
    """
    slack = torch.finfo(squared.dtype).eps ** 0.5
    return (~(squared + slack * size < needed)).nonzero()[:, 0]
