"""Relatives of NeuralUCB: neural Thompson sampling, and a linear model on the last hidden layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import ArrayLike

from recsys import checks
from recsys.gradients import Factors, backpropagate
from recsys.neural.neuralucb import NeuralUCB
from recsys.policies import ThompsonSampling


class NeuralThompson(ThompsonSampling, NeuralUCB):
    """Neural Thompson sampling (Zhang, Zhou, Li & Gu 2021): greedy on a draw for every arm.

    A draw is N(f(x; θ), α² g·Z⁻¹·g / m), one for each arm, independent as in the paper, whose ν is
    α/√λ. Takes the parameters of ``NeuralUCB``, whose ``ucb`` it keeps.
    """

    prunes = False  # what is chosen is the largest draw


class NeuralLinear(NeuralUCB):
    """Neural-Linear: LinUCB on what the last hidden layer makes of a row (Riquelme et al. 2018).

    With φ(x) the gradient of the score by the last layer, over √m: φ is the last hidden layer, and
    1/√m beside it where there is a bias. The score of an arm is θ̂·φ + α √(φ·Z⁻¹·φ) with
    Z = λI + Σ φφᵀ and θ̂ = Z⁻¹ Σ r φ (``thm-ridge``). The network is trained as NeuralUCB's; after
    a training φ has changed, so Z and θ̂ are computed again from all rounds, which the p×p form of a
    single layer can afford and the whole network's cannot.

    Takes the parameters of ``NeuralUCB``, those after ``ridge`` by keyword; ``covariance`` is
    "full", and the schedule has ``replay="all"`` and ``gradient_at="before"``.
    """

    layers = slice(-1, None)
    prunes = False  # the mean is another one than the network's

    def __init__(
        self,
        n_features: int,
        hidden: tuple[int, ...] = (64,),
        alpha: float = 1.0,
        ridge: float = 1.0,
        *,
        covariance: str = "full",
        **options: object,
    ) -> None:
        checks.one_of("covariance", covariance, ("full",))
        super().__init__(n_features, hidden, alpha, ridge, covariance, **options)
        if (self.schedule.replay, self.schedule.gradient_at) != ("all", "before"):
            raise ValueError(f"schedule: got {self.schedule}, expected all rounds and before")
        self.memory = self._new_memory()  # a greedy policy needs the regression as well
        self._regress()

    def _features(self, found: Factors) -> torch.Tensor:
        """Return φ (..., n, q) of rows."""
        return found.part(self.layers).gradients().to(self.memory.dtype) * self.scale**0.5

    def _regress(self) -> None:
        """Compute Z⁻¹, Σ r φ and θ̂ from all rounds, with φ at the present parameters."""
        with torch.no_grad():
            rounds = backpropagate(replace(self._mlp, inputs=()), self.replay.rows.rows)
        self.memory.refill(rounds)
        phi, rewards = self._features(rounds), self.replay.rewards.rows
        self.b = (phi * rewards.to(phi.dtype)).sum(dim=-2)  # (..., q)
        self._solve()

    def _solve(self) -> None:
        self.theta = (self.memory.Z_inv @ self.b[..., None])[..., 0]  # (..., q)

    def _chunk(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = self._factors(rows)
        mean = (self._features(found) @ self.theta[..., None])[..., 0]
        return mean.cpu().numpy(), self.memory.bonus(found).cpu().numpy()

    def read(self, contexts: ArrayLike, rewards: ArrayLike, steps: int) -> None:
        """Learn at once from rounds that somebody else chose, as ``NeuralUCB.read`` does."""
        known = self.rounds
        try:
            super().read(contexts, rewards, steps)
        finally:
            if self.rounds > known:  # also where the training diverged
                self._regress()

    def _learn(self, arms: np.ndarray, context: np.ndarray, rewards: np.ndarray) -> None:
        known = self.rounds
        try:
            super()._learn(arms, context, rewards)
        finally:
            if self.rounds > known:  # also where the training diverged
                self._follow(context, rewards)

    def _follow(self, context: np.ndarray, rewards: np.ndarray) -> None:
        """Let θ̂ follow the round that Z and the replay have already."""
        if self.schedule.due(self.rounds):
            self._regress()
            return
        phi = self._features(self._factors(context[..., None, :]))[..., 0, :]
        self.b += phi * torch.as_tensor(rewards[..., None], dtype=phi.dtype, device=phi.device)
        self._solve()

    def _state(self) -> dict[str, list[torch.Tensor]]:
        return super()._state() | {"regression": [self.b, self.theta]}

    def _restore(self, groups: dict[str, list[torch.Tensor]]) -> None:
        super()._restore(groups)
        for value, saved in zip((self.b, self.theta), groups["regression"], strict=True):
            value.copy_(saved)
