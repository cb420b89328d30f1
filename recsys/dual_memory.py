"""The exact bonus without a p×p matrix: a problem of size t, the number of rounds played.

With G (t, p) the gradients played, Z = λI + c GᵀG and k = c Gg, Woodbury's identity
(``lem-woodbury``) makes the squared width of an arm (``prop-dual-bonus``)

    c g·Z⁻¹·g = (c ‖g‖² - kᵀ (λI + c GGᵀ)⁻¹ k) / λ.

Only inner products of gradients are left, and those follow from activations and deltas
(``prop-layerwise-kernel``). The Cholesky factor of λI + c GGᵀ grows by a row a round.
"""

from __future__ import annotations

import torch
from torch import nn

from recsys.factors import Factors
from recsys.gradient_memory import GradientMemory
from recsys.growing import GrowingCholesky, GrowingRows


class KernelMemory(GradientMemory):
    """Keeps the rounds played as activations and deltas: no gradient and no p×p matrix exist.

    A decision among K arms costs O(K t (t + √p)) operations and O(K √p) for the factors; the
    memory takes t²/2 + O(t √p) numbers. Faster than ``FullMemory`` until t is near p.
    """

    def __init__(
        self,
        model: nn.Module,
        ridge: float = 1.0,
        scale: float = 1.0,
        layers: slice = slice(None),
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__(model, ridge, scale, layers, dtype)
        where = (self.dtype, self.device)
        self.cholesky = GrowingCholesky(self.worlds, self.ridge, *where)
        self._stored = [GrowingRows(self.worlds, n, *where) for n in self._widths()]

    def state(self) -> list[torch.Tensor]:
        """Return the rounds as they are kept, and the blocks of the factor."""
        return [*(stored.rows for stored in self._stored), *self.cholesky.blocks]

    def _restore(self, state: list[torch.Tensor], rounds: int) -> None:
        kinds = len(self._stored)
        self._stored = [
            GrowingRows(self.worlds, n, self.dtype, self.device) for n in self._widths()
        ]
        for stored, rows in zip(self._stored, state[:kinds], strict=True):
            stored.append(rows)
        self.cholesky.restore(state[kinds:], rounds)

    def _widths(self) -> list[int]:
        """Return how many numbers of each kind a round is kept as."""
        return [n for w, h, _ in self.shapes for n in (w, h)]

    def _store(self, factors: Factors) -> None:
        """Keep a round; its deltas take the factor c, so that inner products need it no more."""
        for n, (a, delta, _) in enumerate(factors.layers()):
            self._stored[2 * n].append(a)
            self._stored[2 * n + 1].append(self.scale * delta)

    def _cross(self, factors: Factors) -> torch.Tensor:
        """Return k (..., t, K): c times the inner products of the rounds with the arms."""
        rows = [stored.rows for stored in self._stored]
        biased = tuple(b for _, _, b in self.shapes)
        played = Factors(rows[0][..., 0], tuple(rows[::2]), tuple(rows[1::2]), biased)
        return played.kernel(factors)

    def _numbers_per_arm(self) -> int:
        return 4 * self.rounds + sum(w + h for w, h, _ in self.shapes)

    def _bonus(self, factors: Factors) -> torch.Tensor:
        squared = self.scale * factors.squared_norms()  # (..., K)
        if self.rounds:
            squared -= self.cholesky.times(self._cross(factors)).square_().sum(dim=-2)
        return (squared / self.ridge).clamp_min_(0.0)

    def _add(self, factors: Factors) -> None:
        for k in range(factors.scores.shape[-1]):
            one = factors.rows(slice(k, k + 1))
            corner = self.ridge + self.scale * one.squared_norms()[..., 0]
            self.cholesky.append(self._cross(one)[..., 0], corner)
            self._store(one)


class DualMemory(KernelMemory):
    """Keeps the gradients played, (t, p) numbers, and makes those of the arms: the plain dual form.

    The same problem of size t as in ``KernelMemory``; what it shows is what the kernel spares.
    """

    def _widths(self) -> list[int]:
        return [self.n_parameters]

    def _store(self, factors: Factors) -> None:
        self._stored[0].append(self.scale * factors.gradients())

    def _cross(self, factors: Factors) -> torch.Tensor:
        return self._stored[0].rows @ factors.gradients().mT

    def _numbers_per_arm(self) -> int:
        return 3 * self.rounds + self.n_parameters
