"""What NeuralUCB remembers of the gradients played, in its cheapest form: the diagonal of Z alone.

Shapes: K arms, p parameters, h_l units in layer l. S stacked networks add a leading axis of S.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from recsys.gradients import Factors, FewFactors, affine
from recsys.neural.digits import REMEDY, NotHeldError
from recsys.neural.memory import GradientMemory


class DiagonalMemory(GradientMemory):
    """Keeps the diagonal of Z alone: an approximation in O(p) that needs no gradient at all.

    The bonus of all arms is a forward pass of squares: a layer whose weights are the inverse
    diagonal takes A², and what comes out meets Δ² (``prop-diagonal-bonus``).

    Attributes
    ----------
    diagonal : Tensor (..., p)
        The diagonal of Z, in the order of ``model.parameters()``.
    """

    def _start(self) -> None:
        shape = (*self.worlds, self.n_parameters)
        self.diagonal = torch.full(shape, self.ridge, dtype=self.dtype, device=self.device)
        self._inverse = self.diagonal.reciprocal()

    def layers_of(self, values: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        """Yield the parts of (..., p) in the shape of each layer's weights and its biases."""
        start = 0
        for w, h, biased in self.shapes:
            stop = start + h * w
            weight = values[..., start:stop].reshape(*self.worlds, h, w)
            start = stop + h * biased
            yield weight, values[..., stop:start] if biased else None

    def bonus(self, factors: Factors | FewFactors) -> torch.Tensor | np.ndarray:
        """Return c g·Z⁻¹·g (..., K) of K arms, as an array for ``FewFactors``."""
        if isinstance(factors, Factors):
            return super().bonus(factors)
        squared = np.zeros(len(factors.scores), dtype=factors.scores.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            for a, delta, (D, d) in self._few(factors, self._inverse):
                inputs = (a * a) @ D.T
                if d is not None:
                    inputs += d
                squared += np.vecdot(inputs, delta * delta)
            squared *= self.scale
        if not np.isfinite(squared).all():
            raise ValueError("factors: got a value that is not finite, expected finite numbers")
        return squared

    def take(self, factors: Factors | FewFactors) -> None:
        """Add the squares of the gradients of rounds played to the diagonal of Z."""
        if isinstance(factors, Factors):
            super().take(factors)
            return
        more = torch.empty_like(self.diagonal)
        with np.errstate(over="ignore", invalid="ignore"):
            for a, delta, (weight, bias) in self._few(factors, more):
                squares = delta * delta
                product = np.multiply if len(a) == 1 else np.matmul  # of a column and a row
                product(squares.T, a * a, out=weight)
                if bias is not None:
                    np.add.reduce(squares, axis=0, out=bias)
        self._grow(more)
        self.rounds += len(factors.scores)

    def _few(self, factors: FewFactors, values: torch.Tensor) -> Iterator[tuple]:
        """Yield each layer's activations and deltas, and its part of (p,) as arrays."""
        shapes = [(a.shape[1], d.shape[1]) for a, d in factors.layers()]
        if self.worlds or shapes != [(w, h) for w, h, _ in self.shapes]:
            found = f"layers {shapes} of one network"
            raise ValueError(f"factors: got {found}, expected {self.shapes} and {self.worlds} rows")
        return zip(factors.activations, factors.deltas, self.layers_of(values.numpy()), strict=True)

    def state(self) -> list[torch.Tensor]:
        """Return the diagonal of Z alone."""
        return [self.diagonal]

    def _restore(self, state: list[torch.Tensor], rounds: int) -> None:
        self.diagonal.copy_(*state)
        torch.reciprocal(self.diagonal, out=self._inverse)

    def _numbers_per_arm(self) -> int:
        return sum(w + 2 * h for w, h, _ in self.shapes)

    def _bonus(self, factors: Factors) -> torch.Tensor:
        total = None
        for (a, delta, _), (D, d) in zip(
            factors.layers(), self.layers_of(self._inverse), strict=True
        ):
            term = torch.linalg.vecdot(affine(a.square(), D, d), delta.square())
            total = term if total is None else total.add_(term)
        return total.mul_(self.scale)

    def _add(self, factors: Factors) -> None:
        more = torch.empty_like(self.diagonal)
        for (a, delta, _), (weight, bias) in zip(
            factors.layers(), self.layers_of(more), strict=True
        ):
            squares = delta.square()
            torch.matmul(squares.mT, a.square(), out=weight)
            if bias is not None:
                torch.sum(squares, dim=-2, out=bias)
        self._grow(more)

    def hold(self, factors: Factors | FewFactors) -> None:
        """Refuse rounds, all that are to come at once, that ``take`` would refuse."""
        if isinstance(factors, Factors):
            squares = self._checked(factors).squared_norms()
            self._refuse(float(self.diagonal.sum()) + self.scale * float(squares.sum()))
            return
        squares, diagonal = 0.0, self.diagonal.numpy()
        with np.errstate(over="ignore", invalid="ignore"):
            for a, delta, (_, bias) in self._few(factors, self.diagonal):
                ones = 0.0 if bias is None else 1.0
                squares += float(((np.vecdot(a, a) + ones) * np.vecdot(delta, delta)).sum())
            self._refuse(float(diagonal.sum()) + self.scale * squares)

    def _grow(self, more: torch.Tensor) -> None:
        """Add c times what rounds add (..., p), which is written over."""
        torch.add(self.diagonal, more, alpha=self.scale, out=more)
        self._refuse(float(more.sum()))
        self.diagonal = more
        torch.reciprocal(self.diagonal, out=self._inverse)

    def _refuse(self, trace: float) -> None:
        """Refuse a diagonal whose sum is no number or so large that inverses lose their digits."""
        most = 1.0 / torch.finfo(self.dtype).tiny
        if not trace < most:
            raise NotHeldError(
                f"factors: got a diagonal of Z that adds up to {trace:.2g}, expected less than "
                f"{most:.2g}, beyond which {self.dtype} has no inverse; {REMEDY}"
            )
