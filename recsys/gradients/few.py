"""The factors of a few rows of one small network, in NumPy.

``backprop`` is the sweep. This is the same one for networks and batches so small that calls take a
large part of the time: NumPy's take less. It reads the parameters where torch keeps them.

Shapes: K rows (arms), d features, h_l units in layer l of L, as in ``backprop``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from recsys.gradients.mlp import Mlp


@dataclass(frozen=True)
class FewFactors:
    """Activations and deltas of K rows as arrays; see ``backprop.Factors``.

    Attributes
    ----------
    scores : ndarray (K,)
    activations : tuple of L arrays (K, h_{l-1})
    deltas : tuple of L arrays (K, h_l)
    """

    scores: np.ndarray
    activations: tuple[np.ndarray, ...]
    deltas: tuple[np.ndarray, ...]

    def layers(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield a_{l-1} and δ_l, from the first layer to the last."""
        return zip(self.activations, self.deltas, strict=True)


def few_factors(mlp: Mlp, rows: np.ndarray) -> FewFactors:
    """Return the factors of rows (K, d) that are checked already, of one network on the CPU."""
    weights = [w.detach().numpy() for w in mlp.weights]  # views
    biases = [None if b is None else b.detach().numpy() for b in mlp.biases]
    a = rows.astype(weights[0].dtype)
    for change in mlp.inputs:
        a = change(torch.from_numpy(a)).numpy()
    activations = [a]
    with np.errstate(over="ignore", invalid="ignore"):  # who uses the result looks at it
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            a = a @ w.T  # a_l = ReLU(W_l a_{l-1} + b_l)
            if b is not None:
                a += b
            np.maximum(a, 0.0, out=a)
            activations.append(a)
        scores = a.dot(weights[-1][0])
        if biases[-1] is not None:
            scores += biases[-1]
        scores *= mlp.scale
        delta = np.full((len(rows), 1), mlp.scale, dtype=a.dtype)  # δ_L
        deltas = [delta]
        for w, a in zip(weights[:0:-1], activations[:0:-1], strict=True):
            # δ_l = W_{l+1}ᵀ δ_{l+1}, zero where the ReLU was off; δ_L is one column
            delta = delta @ w if len(w) > 1 else delta * w
            delta *= a > 0
            deltas.append(delta)
    return FewFactors(scores, tuple(activations), tuple(reversed(deltas)))
