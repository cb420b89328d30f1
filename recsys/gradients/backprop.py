"""The two factors of every per-arm gradient of an MLP: activations and deltas.

For arm k and layer l the gradient of the score is the outer product δ_l a_{l-1}ᵀ, and δ_l for the
bias (``prop-mlp-gradient``). Rows of a batch do not meet in an MLP, so one forward pass and one
backward pass over all K rows give the factors of all K gradients (``prop-batched-jacobian``), and
what follows from inner products of gradients follows from the factors alone
(``prop-layerwise-kernel``). A gradient itself has p numbers, its factors only about √p.

Shapes: K rows (arms), d features, h_l units in layer l of L, h_0 = d and h_L = 1, p parameters.
S stacked networks, one for each world, add a leading axis of S to every array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from numpy.typing import ArrayLike
from torch import nn

from recsys.gradients.mlp import Mlp, affine, take_apart
from recsys.gradients.rows import rows_for


@dataclass(frozen=True)
class Factors:
    """Activations and deltas of K rows: the gradient of layer l is δ_l a_{l-1}ᵀ.

    Attributes
    ----------
    scores : Tensor (..., K)
        The network's outputs.
    activations : tuple of L tensors (..., K, h_{l-1})
        What went into each layer.
    deltas : tuple of L tensors (..., K, h_l)
        Derivatives of the score by what came out of each layer, before its ReLU.
    biased : tuple of L bool
        Whether a layer has a bias.
    """

    scores: torch.Tensor
    activations: tuple[torch.Tensor, ...]
    deltas: tuple[torch.Tensor, ...]
    biased: tuple[bool, ...]

    def layers(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, bool]]:
        """Yield a_{l-1}, δ_l and whether there is a bias, from the first layer to the last."""
        return zip(self.activations, self.deltas, self.biased, strict=True)

    def gradients(self, out: torch.Tensor | None = None) -> torch.Tensor:
        """Return the gradients (..., K, p), in the order of ``model.parameters()``.

        ``out`` is a tensor of that shape to write them to; one that is used again spares the
        operating system from finding new pages, which takes as long as the arithmetic.
        """
        shape = (*self.scores.shape, self.n_parameters)
        if out is None:
            out = self.scores.new_empty(shape)
        elif out.shape != shape or out.dtype != self.scores.dtype:
            found = f"{out.dtype} of shape {tuple(out.shape)}"
            raise ValueError(f"out: got {found}, expected {self.scores.dtype} of shape {shape}")
        start = 0
        for a, delta, biased in self.layers():
            h, w = delta.shape[-1], a.shape[-1]
            block = out[..., start : start + h * w].view(*shape[:-1], h, w)
            torch.mul(delta[..., :, None], a[..., None, :], out=block)
            start += h * w
            if biased:
                out[..., start : start + h] = delta
                start += h
        return out

    def squared_norms(self) -> torch.Tensor:
        """Return the squared lengths ‖g‖² (..., K) of the gradients, which are never formed."""
        total = None
        for a, delta, biased in self.layers():
            term = torch.linalg.vecdot(a, a)
            if biased:
                term += 1.0
            term *= torch.linalg.vecdot(delta, delta)
            total = term if total is None else total.add_(term)
        return total

    def kernel(self, others: Factors) -> torch.Tensor:
        """Return the inner products (..., K, K') of these gradients with others, never formed.

        They are Σ_l (⟨a_{l-1}, a'_{l-1}⟩ + 1) ⟨δ_l, δ'_l⟩, with the 1 where layer l has a bias
        (``prop-layerwise-kernel``).
        """
        total = None
        for (a, delta, biased), (a_other, delta_other, _) in zip(
            self.layers(), others.layers(), strict=True
        ):
            inner = a @ a_other.mT
            if biased:
                inner += 1.0
            term = inner.mul_(delta @ delta_other.mT)
            total = term if total is None else total.add_(term)
        return total

    @cached_property
    def shapes(self) -> tuple[tuple[int, int, bool], ...]:
        """(h_{l-1}, h_l, whether there is a bias) of each layer."""
        return tuple((a.shape[-1], d.shape[-1], b) for a, d, b in self.layers())

    @property
    def n_parameters(self) -> int:
        """The length p of a gradient."""
        return sum(h * (w + b) for w, h, b in self.shapes)

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Factors:
        """Return factors whose tensors went through ``change``, which sees axes (..., K, units)."""
        return Factors(
            change(self.scores[..., None])[..., 0],
            tuple(change(a) for a in self.activations),
            tuple(change(d) for d in self.deltas),
            self.biased,
        )

    def rows(self, which: slice) -> Factors:
        """Return the factors of some of the K rows."""
        return self.map(lambda tensor: tensor[..., which, :])

    def take(self, which: torch.Tensor) -> Factors:
        """Return the factors of those of the K rows whose numbers are given."""
        return self.map(lambda tensor: tensor.index_select(-2, which))

    def part(self, layers: slice) -> Factors:
        """Return the factors of some of the layers."""
        return Factors(
            self.scores, self.activations[layers], self.deltas[layers], self.biased[layers]
        )


def gradient_factors(model: nn.Module, X: ArrayLike | torch.Tensor) -> Factors:
    """Return the factors of all per-arm gradients: one forward pass, one batched backward pass.

    Parameters
    ----------
    model : torch.nn.Sequential
        As ``take_apart`` takes it apart.
    X : (K, d) rows, or (S, K, d) for S stacked networks

    Raises
    ------
    ValueError
        If the model is no MLP, or X is not finite or has another shape.
    """
    mlp, rows = take_apart(model), rows_for(model, X)
    if rows.ndim != 2 + len(mlp.worlds) or rows.shape[:-2] != mlp.worlds:
        wanted = (*mlp.worlds, "K", "d")
        raise ValueError(f"X: got shape {tuple(rows.shape)}, expected {wanted}")
    with torch.no_grad():
        return backpropagate(mlp, rows)


def backpropagate(
    mlp: Mlp,
    rows: torch.Tensor,
    weigh: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> Factors:
    """Return the factors of rows that are checked already, but for their number of features.

    ``weigh`` makes of the scores (..., K) a factor for each row's deltas, such as the residuals:
    the gradients are then those of a weighted score.
    """
    for change in mlp.inputs:
        rows = change(rows)
    if rows.shape[-1] != mlp.weights[0].shape[-1]:
        wanted = mlp.weights[0].shape[-1]
        raise ValueError(f"X: got {rows.shape[-1]} features, expected {wanted}")
    activations, layers = [rows], list(zip(mlp.weights, mlp.biases, strict=True))
    for layer in layers[:-1]:
        # a_l = ReLU(W_l a_{l-1} + b_l)
        activations.append(affine(activations[-1], *layer).clamp_min_(0.0))
    scores = mlp.scale * affine(activations[-1], *layers[-1])[..., 0]
    if weigh is None:
        delta = rows.new_full((*scores.shape, 1), mlp.scale)  # δ_L
    else:
        delta = mlp.scale * weigh(scores)[..., None]
    deltas = [delta]
    for weight, a in zip(mlp.weights[:0:-1], activations[:0:-1], strict=True):
        # δ_l = (W_{l+1}ᵀ δ_{l+1}), zero where the ReLU was off
        delta = torch.ops.aten.threshold_backward(delta @ weight, a, 0.0)
        deltas.append(delta)
    return Factors(scores, tuple(activations), tuple(reversed(deltas)), mlp.biased)
