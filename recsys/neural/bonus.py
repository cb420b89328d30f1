"""The exploration bonus in four forms, by name."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import nn

from recsys import checks
from recsys.gradients import gradient_factors
from recsys.neural.diagonal_memory import DiagonalMemory
from recsys.neural.dual_memory import DualMemory, KernelMemory
from recsys.neural.memory import FullMemory, GradientMemory

FORMS: dict[str, type[GradientMemory]] = {
    "full": FullMemory,
    "diagonal": DiagonalMemory,
    "dual": DualMemory,
    "kernel": KernelMemory,
}


def exploration_bonus(
    model: nn.Module,
    X: ArrayLike | torch.Tensor,
    played: ArrayLike | torch.Tensor,
    form: str = "kernel",
    ridge: float = 1.0,
    scale: float = 1.0,
) -> torch.Tensor:
    """Return c g·Z⁻¹·g of every row, with Z = λI + c Σ g gᵀ over the rows played.

    All gradients are taken at the model's present parameters; where they change between the
    rounds, keep one of the memories of ``FORMS`` and ``add`` each round to it.

    Parameters
    ----------
    model : torch.nn.Sequential
        As ``mlp.take_apart`` takes it apart.
    X : (K, d) rows to score
    played : (t, d) rows played, t >= 0
    form : {"full", "diagonal", "dual", "kernel"}
        All but "diagonal", which keeps the diagonal of Z alone, agree to rounding.
    ridge, scale : float
        λ and c; NeuralUCB has c = 1/m.

    Returns
    -------
    Tensor (K,) in double precision: squared widths.
    """
    memory = FORMS[checks.one_of("form", form, tuple(FORMS))](model, ridge, scale)
    memory.add(gradient_factors(model, played))
    return memory.bonus(gradient_factors(model, X))
