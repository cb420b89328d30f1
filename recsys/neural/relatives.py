"""Relatives of NeuralUCB: neural Thompson sampling, and a linear model on the last hidden layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from recsys import checks
from recsys.gradients import Factors, backpropagate
from recsys.neural.neuralucb import NeuralUCB
from recsys.neural.schedule import Schedule
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
        self.memory = self._new_memory()  # a greedy policy needs the regression as well
        self._regress()

    def _checked_schedule(self, schedule: object) -> Schedule:
        plan = super()._checked_schedule(schedule)
        if (plan.replay, plan.gradient_at) != ("all", "before"):
            raise ValueError(f"schedule: got {plan}, expected all rounds and before")
        return plan

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
        self._refuse_scores(found.scores)
        mean = (self._features(found) @ self.theta[..., None])[..., 0]
        return mean.cpu().numpy(), self.memory.bonus(found).cpu().numpy()

    def _read(self, parts: list[np.ndarray], rewards: np.ndarray, steps: int) -> None:
        known = self.rounds
        try:
            super()._read(parts, rewards, steps)
        finally:
            if self.rounds > known:  # also where the training diverged
                self._regress()

    def _play(self, row: np.ndarray, rewards: np.ndarray) -> None:
        known = self.rounds
        try:
            super()._play(row, rewards)
        finally:
            if self.rounds > known:  # also where the training diverged
                self._follow(row, rewards)

    def _refuses_late(self) -> bool:
        return self.schedule.due(self.rounds + 1)  # then φ of every round changes

    def _mark(self) -> dict[str, Any]:
        kept = (self.memory.Z_inv, self.b, self.theta)
        regression = [tensor.clone() for tensor in kept]
        return super()._mark() | {"regression": regression, "n": self.memory.rounds}

    def _go_back(self, mark: dict[str, Any]) -> None:
        super()._go_back(mark)
        self.memory.Z_inv, self.b, self.theta = mark["regression"]
        self.memory.rounds = mark["n"]

    def _follow(self, row: np.ndarray, rewards: np.ndarray) -> None:
        """Let θ̂ follow the round that Z and the replay have already."""
        if self.schedule.due(self.rounds):
            self._regress()
            return
        phi = self._features(self._factors(row))[..., 0, :]
        self.b += phi * torch.as_tensor(rewards[..., None], dtype=phi.dtype, device=phi.device)
        self._solve()

    def _state(self) -> dict[str, list[torch.Tensor]]:
        return super()._state() | {"regression": [self.b, self.theta]}

    def _restore(self, groups: dict[str, list[torch.Tensor]]) -> None:
        super()._restore(groups)
        for value, saved in zip((self.b, self.theta), groups["regression"], strict=True):
            value.copy_(saved)
