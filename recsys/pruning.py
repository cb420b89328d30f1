"""The arm with the largest upper confidence bound, without the bounds of the others.

The largest of K bounds f + α √s is all that a decision asks for. As soon as one bound is known,
say b, an arm can only win if its squared width s is ((b - f) / α)² or more. The means f of all arms
cost a forward pass. For s there are bounds from above that cost less than s (``rivals`` of each
form of ``gradient_memory.GradientMemory``), and most arms stay below what they need even by those.

The answer is exact: an arm is left out only if a bound from above of its own bound is less than the
bound of another arm by more than rounding can explain (half of the digits). Whoever is left is
scored in the usual way, so ties among the best are ties here as well.

Shapes: K arms, one world.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from recsys.factors import Factors, chunks
from recsys.gradient_memory import GradientMemory


def contenders(
    sweep: Callable[[np.ndarray], Factors],
    memory: GradientMemory,
    alpha: float,
    rows: np.ndarray,
) -> np.ndarray:
    """Return the numbers of the rows that may have the largest f + α √(c g·Z⁻¹·g), in order.

    Parameters
    ----------
    sweep : callable
        Returns the factors of rows (n, d).
    memory : GradientMemory
        Whose bonus c g·Z⁻¹·g is.
    alpha : float
        The weight α, more than 0.
    rows : ndarray (K, d)
    """
    best = -np.inf  # the largest bound so far
    seen: list[tuple[int, torch.Tensor, torch.Tensor]] = []
    for part in chunks(len(rows), memory.looked_at):
        found = sweep(rows[part])
        mean = found.scores.to(memory.dtype)  # (n,)
        slack = torch.finfo(found.scores.dtype).eps ** 0.5
        floor = best - slack * max(abs(best), float(mean.abs().max()))
        needed = ((floor - mean) / alpha).clamp_min_(0.0).square_()
        which, squared = memory.rivals(found, needed)
        bounds = mean[which].add_(squared.sqrt(), alpha=alpha)
        if len(which):
            best = max(best, float(bounds.max()))
        seen.append((part.start, which, bounds))
    return np.concatenate(
        [start + which[~(bounds < floor)].cpu().numpy() for start, which, bounds in seen]
    )
