"""Networks that score context rows one by one, taken apart: linear layers, ReLU, one output.

Shapes: K rows (arms), d features, h_l units in layer l of L, h_0 = d and h_L = 1. S stacked
networks, one for each world, add a leading axis of S to every array.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from recsys import checks


class Scale(nn.Module):
    """Multiplies what it gets by a fixed number, such as the √m of NeuralUCB's network."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = checks.number("factor", factor, 1e-12, 1e12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``factor`` times x, of any shape."""
        return self.factor * x


class StackedLinear(nn.Module):
    """S linear layers in one: weights (S, h_out, h_in), biases (S, h_out) or none."""

    def __init__(self, n_worlds: int, h_in: int, h_out: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_worlds, h_out, h_in))
        self.bias = nn.Parameter(torch.zeros(n_worlds, h_out)) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what each layer makes of its rows: (S, K, h_in) to (S, K, h_out)."""
        return affine(x, self.weight, self.bias)


def affine(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Return x Wᵀ + b for one layer, or for S stacked ones."""
    if weight.ndim == 2:
        return nn.functional.linear(x, weight, bias)
    if bias is None:
        return torch.bmm(x, weight.mT)
    return torch.baddbmm(bias[:, None], x, weight.mT)


@dataclass(frozen=True)
class Mlp:
    """A network taken apart: maps of the rows, linear layers with ReLU between them, a factor."""

    inputs: tuple[nn.Module, ...]  # without parameters, applied to the rows first
    weights: tuple[torch.Tensor, ...]  # (..., h_l, h_{l-1}), the parameters themselves
    biases: tuple[torch.Tensor | None, ...]  # (..., h_l)
    scale: float

    @property
    def worlds(self) -> tuple[int, ...]:
        """() for one network, (S,) for S stacked ones."""
        return tuple(self.weights[0].shape[:-2])

    @property
    def biased(self) -> tuple[bool, ...]:
        """Whether each layer has a bias."""
        return tuple(b is not None for b in self.biases)

    @property
    def shapes(self) -> tuple[tuple[int, int, bool], ...]:
        """(h_{l-1}, h_l, whether there is a bias) of each layer."""
        pairs = zip(self.weights, self.biased, strict=True)
        return tuple((w.shape[-1], w.shape[-2], biased) for w, biased in pairs)


def take_apart(model: nn.Module) -> Mlp:
    """Take an MLP apart.

    Parameters
    ----------
    model : torch.nn.Sequential
        Modules without parameters that map each row on its own (none is usual); linear layers
        with a ReLU after each but the last, which has one output; at most one ``Scale``.

    Raises
    ------
    ValueError
        If the model is anything else.
    """
    modules = list(model) if isinstance(model, nn.Sequential) else [model]
    scale = modules.pop().factor if modules and isinstance(modules[-1], Scale) else 1.0
    first = 0
    while first < len(modules) and not isinstance(modules[first], nn.Linear | StackedLinear):
        first += 1
    inputs, chain = tuple(modules[:first]), modules[first:]
    fits = len(chain) % 2 == 1 and all(isinstance(m, nn.ReLU) for m in chain[1::2])
    fits = fits and all(isinstance(m, nn.Linear | StackedLinear) for m in chain[::2])
    fits = fits and not any(isinstance(m, nn.ReLU) or list(m.parameters()) for m in inputs)
    weights = [m.weight for m in chain[::2]] if fits else []
    fits = fits and all(v.shape[:-1] == (*w.shape[:-2], v.shape[-2]) for v, w in pairwise(weights))
    fits = fits and all(v.shape[-2] == w.shape[-1] for v, w in pairwise(weights))
    if not fits or weights[-1].shape[-2] != 1:
        kinds = ", ".join(type(m).__name__ for m in modules) or "nothing"
        raise ValueError(
            f"model: got {kinds}, expected linear layers with a ReLU between any two and one output"
        )
    return Mlp(inputs, tuple(weights), tuple(m.bias for m in chain[::2]), scale)
