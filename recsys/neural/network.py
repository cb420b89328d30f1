"""The network of NeuralUCB: one score for a row of user and product features, zero at the start.

As published (Zhou, Li & Gu 2020): rows of length 1 that hold every feature twice, hidden layers
W_l = diag(W, W) with entries N(0, 4/m), an output layer (wᵀ, -wᵀ) with entries N(0, 2/m) and the
factor √m, no biases. The two halves see the same and cancel, so f(x; θ₀) = 0 for every row, while
the gradient does not vanish. m is the width of a hidden layer; where widths differ, each layer's
own, and the last hidden one's in √m.

Shapes: d features, h_l units in hidden layer l. S worlds stack S networks, each with its own seed.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from recsys import checks
from recsys.gradients import Scale, StackedLinear
from recsys.worlds import generator

INITS = ("paper", "torch")
SCALES = ("sqrt_m", "one")


class UnitRows(nn.Module):
    """Gives every row (..., d) the length 1; a row of zeros stays as it is."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x / ‖x‖."""
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return x / torch.where(length > 0, length, 1.0)


class Doubled(nn.Module):
    """Makes a row (..., d) one of the same length that holds each feature twice: (..., 2d)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (x, x) / √2."""
        half = x / math.sqrt(2.0)
        return torch.cat([half, half], dim=-1)


def score_network(
    n_features: int,
    hidden: tuple[int, ...] = (64,),
    init: str = "paper",
    bias: bool = False,
    output_scale: str = "sqrt_m",
    unit_rows: bool = True,
    seed: int = 0,
    n_worlds: int | None = None,
    dtype: torch.dtype = torch.float64,
) -> nn.Sequential:
    """Return the network f(x; θ₀).

    Parameters
    ----------
    n_features : int
        Number d of features of a context row.
    hidden : tuple of int
        Widths of the hidden layers, at least one; even ones for ``init="paper"``.
    init : {"paper", "torch"}
        As above with doubled rows, or as ``torch.nn.Linear`` does it: uniform within
        ±1/√(number of inputs), rows not doubled, f(x; θ₀) ≠ 0.
    bias : bool
        Whether layers have biases; the paper's have none. With ``init="paper"`` they start at 0.
    output_scale : {"sqrt_m", "one"}
        Whether the output is multiplied by √m.
    unit_rows : bool
        Whether rows are first brought to length 1. Without biases, f of a row that is c times as
        long is c times as large.
    seed : int
        Seed of the parameters; world s has ``seed + s``. torch's global generator is left alone.
    n_worlds : int, optional
        Number S of stacked networks; ``None`` for one without the axis.
    dtype : torch.dtype

    Returns
    -------
    torch.nn.Sequential
        Maps rows (n, d) to (n, 1), or (S, n, d) to (S, n, 1); ``mlp.take_apart`` takes it apart.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    d = checks.integer("n_features", n_features, 1)
    widths = hidden_widths(hidden)
    bias, unit_rows = flag("bias", bias), flag("unit_rows", unit_rows)
    paper = checks.one_of("init", init, INITS) == "paper"
    if paper and any(h % 2 for h in widths):
        raise ValueError(f"hidden: got {widths}, expected even widths for init='paper'")
    seed = checks.integer("seed", seed, 0)
    worlds = None if n_worlds is None else checks.integer("n_worlds", n_worlds, 1)
    checks.one_of("output_scale", output_scale, SCALES)
    sizes = [2 * d if paper else d, *widths, 1]
    draws = [_draw(generator(seed + s), sizes, bias, paper) for s in range(worlds or 1)]
    modules: list[nn.Module] = [UnitRows()] if unit_rows else []
    modules += [Doubled()] if paper else []
    for n, (h_in, h_out) in enumerate(pairwise(sizes)):
        if worlds is None:
            layer = nn.utils.skip_init(nn.Linear, h_in, h_out, bias=bias)
        else:
            layer = StackedLinear(worlds, h_in, h_out, bias)
        for place, value in enumerate(layer.parameters()):
            stacked = np.stack([draw[n][place] for draw in draws])
            value.data = torch.from_numpy(stacked[0] if worlds is None else stacked)
        modules += [layer, nn.ReLU()]
    modules.pop()
    modules += [Scale(math.sqrt(widths[-1]))] if output_scale == "sqrt_m" else []
    return nn.Sequential(*modules).to(dtype)


def flag(name: str, value: object) -> bool:
    """Return ``value`` if it is True or False, else raise ``ValueError``."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name}: got {value!r}, expected True or False")
    return bool(value)


def hidden_widths(hidden: tuple[int, ...]) -> tuple[int, ...]:
    """Return the widths of the hidden layers, checked."""
    if not isinstance(hidden, tuple | list) or not hidden:
        expected = "a tuple of integers, such as (64,), at least one"
        raise ValueError(f"hidden: got {hidden!r}, expected {expected}")
    return tuple(checks.integer("hidden", h, 1) for h in hidden)


def _draw(
    rng: np.random.Generator, sizes: list[int], bias: bool, paper: bool
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the initial weights (h_out, h_in) and biases (h_out,) of every layer."""
    layers = []
    for h_in, h_out in pairwise(sizes):
        if not paper:
            bound = 1.0 / math.sqrt(h_in)
            weight = rng.uniform(-bound, bound, (h_out, h_in))
            biases = rng.uniform(-bound, bound, h_out) if bias else np.zeros(h_out)
        elif h_out > 1:
            half = rng.normal(0.0, math.sqrt(4.0 / h_out), (h_out // 2, h_in // 2))
            weight, biases = np.kron(np.eye(2), half), np.zeros(h_out)  # diag(W, W)
        else:
            half = rng.normal(0.0, math.sqrt(2.0 / h_in), (1, h_in // 2))
            weight, biases = np.concatenate([half, -half], axis=1), np.zeros(h_out)
        layers.append((weight, biases))
    return layers
