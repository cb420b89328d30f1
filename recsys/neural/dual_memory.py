"""The exact bonus without a p×p matrix: a problem of size t, the number of rounds played.

With G (t, p) the gradients played, Z = λI + c GᵀG and k = c Gg, Woodbury's identity
(``lem-woodbury``) makes the squared width of an arm (``prop-dual-bonus``)

    c g·Z⁻¹·g = (c ‖g‖² - kᵀ (λI + c GGᵀ)⁻¹ k) / λ.

Only inner products of gradients are left, and those follow from activations and deltas
(``prop-layerwise-kernel``). The Cholesky factor of λI + c GGᵀ grows by a row a round.
"""

from __future__ import annotations

import torch

from recsys.gradients import Factors
from recsys.neural.growing import GrowingCholesky, GrowingRows
from recsys.neural.memory import GradientMemory


class KernelMemory(GradientMemory):
    """Keeps the rounds played as activations and deltas: no gradient and no p×p matrix exist.

    A decision among K arms costs O(K t (t + √p)) operations and O(K √p) for the factors; the
    memory takes t²/2 + O(t √p) numbers. Faster than ``FullMemory`` until t is near p.
    """

    def _start(self) -> None:
        where = (self.dtype, self.device)
        self.cholesky = GrowingCholesky(self.worlds, self.ridge, *where)
        self._played = GrowingRows(self.worlds, self._width(), *where)

    def state(self) -> list[torch.Tensor]:
        """Return the rounds as they are kept, and the blocks of the factor."""
        return [self._played.rows, *self.cholesky.blocks]

    def _restore(self, state: list[torch.Tensor], rounds: int) -> None:
        self._played = GrowingRows(self.worlds, self._width(), self.dtype, self.device)
        self._played.append(state[0])
        self.cholesky.restore(state[1:], rounds)

    def _width(self) -> int:
        """Return how many numbers a round is kept as."""
        return sum(w + h for w, h, _ in self.shapes)

    def _kept(self, factors: Factors) -> torch.Tensor:
        """Return rounds as they are kept (..., n, width): a_0, δ_1, a_1, δ_2, ...

        Deltas take the factor c, so that inner products with arms need it no more.
        """
        parts = [part for a, delta, _ in factors.layers() for part in (a, self.scale * delta)]
        return torch.cat(parts, dim=-1)

    def _cross(self, factors: Factors, rounds: slice = slice(None)) -> torch.Tensor:
        """Return k (..., t, K): c times the inner products of the rounds with the arms."""
        sizes = [size for w, h, _ in self.shapes for size in (w, h)]
        parts = self._played.rows[..., rounds, :].split(sizes, dim=-1)  # views
        played = Factors(parts[0][..., 0], parts[::2], parts[1::2], factors.biased)
        return factors.kernel(played).mT

    def _numbers_per_arm(self) -> int:
        return 4 * self.rounds + self._width()

    def _bonus(self, factors: Factors) -> torch.Tensor:
        squared = self.scale * factors.squared_norms()  # (..., K)
        if self.rounds:
            squared -= self.cholesky.times(self._cross(factors)).square_().sum(dim=-2)
        return (squared / self.ridge).clamp_min_(0.0)

    def _add(self, factors: Factors) -> None:
        squares, before = self._squares(factors), []
        for k in range(squares.shape[-1]):
            one = factors.rows(slice(k, k + 1)) if squares.shape[-1] > 1 else factors
            corner = self.ridge + self.scale * squares[..., k]
            q = self.cholesky.append(self._cross(one)[..., 0], corner)
            before.append((q / self.ridge - 1.0)[..., None])  # det Z grows by q/λ, which is 1 + w
            self._played.append(self._kept(one))
        self._watch(before, squares)


class DualMemory(KernelMemory):
    """Keeps the gradients played, (t, p) numbers, and makes those of the arms: the plain dual form.

    The same problem of size t as in ``KernelMemory``; what it shows is what the kernel spares.
    """

    def _width(self) -> int:
        return self.n_parameters

    def _kept(self, factors: Factors) -> torch.Tensor:
        return self.scale * factors.gradients()

    def _cross(self, factors: Factors, rounds: slice = slice(None)) -> torch.Tensor:
        return (factors.gradients() @ self._played.rows[..., rounds, :].mT).mT

    def _numbers_per_arm(self) -> int:
        return 3 * self.rounds + self.n_parameters
