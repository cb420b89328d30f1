"""How NeuralUCB's network is trained: gradient descent on all rounds so far.

The objective is that of the paper (Zhou, Li & Gu 2020, Algorithm 2),

    Σ_i (f(x_i; θ) - r_i)² / 2 + mλ ‖θ - θ₀‖² / 2

over the rounds i played. In a small network the time of a step is the time of its calls, so the
gradient is taken by the same hand-written backward pass as the per-arm gradients, with the
residuals in the place of ones: the gradient of layer l is Σ_i (f - r)_i δ_l a_{l-1}ᵀ, one matrix
product.

Shapes: n rounds, d features. S stacked networks add a leading axis of S.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from recsys import worlds
from recsys.gradients import Mlp, affine, backpropagate, take_apart
from recsys.neural.growing import GrowingRows
from recsys.neural.schedule import Schedule

LARGEST = {torch.float64: 1e50, torch.float32: 1e9}  # of a parameter after a training


def objective_gradient(
    mlp: Mlp,
    rows: torch.Tensor,
    rewards: torch.Tensor,
    centre: list[torch.Tensor] | None,
    weight: float,
    pull: float,
) -> list[torch.Tensor]:
    """Return the gradient of weight Σ (f - r)²/2 + pull ‖θ - centre‖²/2, parameter by parameter.

    Rows are (..., n, h_0), already mapped; rewards (..., n). ``None`` is a centre of zeros.
    """
    found = backpropagate(mlp, rows, lambda scores: weight * (scores - rewards))
    gradients = []
    for weight_l, bias_l, (a, delta, _) in zip(
        mlp.weights, mlp.biases, found.layers(), strict=True
    ):
        own = [(weight_l, delta.mT @ a)]
        own += [] if bias_l is None else [(bias_l, delta.sum(dim=-2))]
        for value, gradient in own:
            away = value if centre is None else value - centre[len(gradients)]
            gradients.append(gradient.add_(away, alpha=pull))
    return gradients


class Replay:
    """Every round so far, and the training on them.

    Parameters
    ----------
    model : torch.nn.Sequential
        The network f(x; θ₀), as ``mlp.take_apart`` takes it apart; its parameters now are θ₀.
    ridge : float
        λ of the objective. It is multiplied by the square of the network's output factor, which
        is m in the paper.
    schedule : Schedule
    """

    def __init__(self, model: nn.Module, ridge: float, schedule: Schedule) -> None:
        mlp = take_apart(model)
        like, (width, _, _) = mlp.weights[0], mlp.shapes[0]
        where = (like.dtype, like.device)
        self.ridge, self.schedule = ridge, schedule
        if mlp.worlds:
            schedule.refuse_worlds()
        self.initial = [value.detach().clone() for value in model.parameters()]  # θ₀
        self.rows = GrowingRows(mlp.worlds, width, *where)  # as the first layer sees them
        self.rewards = GrowingRows(mlp.worlds, 1, *where)
        self.batches = worlds.generator(schedule.seed)
        # Adam's moments of all parameters in one row each, and views in the parameters' shapes.
        self._means, self._squares = like.new_zeros((2, sum(v.numel() for v in self.initial)))
        self.steps = 0  # since the moments were zero

    @property
    def moments(self) -> list[torch.Tensor]:
        """Adam's two moments of each parameter, as views: a pickled view is one no more."""
        pairs = zip(self._views(self._means), self._views(self._squares), strict=True)
        return [moment for pair in pairs for moment in pair]

    @property
    def n(self) -> int:
        """Number of rounds that are kept."""
        return self.rows.n

    def add(self, rows: torch.Tensor, rewards: torch.Tensor) -> None:
        """Keep rows (..., m, h_0) as the first layer sees them, and their rewards (..., m)."""
        self.rows.append(rows)
        self.rewards.append(rewards[..., None])

    def state(self) -> dict[str, list[torch.Tensor]]:
        """Return the tensors that there are; θ₀ is among them."""
        kept = [self.rows.rows, self.rewards.rows]
        return {"initial": self.initial, "rounds": kept, "moments": self.moments}

    def restore(
        self, state: dict[str, list[torch.Tensor]], batches: np.random.Generator, steps: int
    ) -> None:
        """Take over the state of another replay of the same network and schedule."""
        for name, own in (("initial", self.initial), ("moments", self.moments)):
            for value, saved in zip(own, state[name], strict=True):
                value.copy_(saved)
        rows, rewards = state["rounds"]
        where = self.initial[0].device
        self.add(rows.to(where), rewards[..., 0].to(where))
        self.batches, self.steps = batches, steps

    def mark(self, model: nn.Module) -> dict[str, Any]:
        """Return what ``go_back`` needs to undo all that comes."""
        values = [*model.parameters(), self._means, self._squares]
        return {
            "values": [value.detach().clone() for value in values],
            "n": self.n,
            "steps": self.steps,
            "batches": self.batches.bit_generator.state,
        }

    def go_back(self, model: nn.Module, mark: dict[str, Any]) -> None:
        """Take back rounds and trainings since the mark."""
        values = [*model.parameters(), self._means, self._squares]
        with torch.no_grad():
            for value, old in zip(values, mark["values"], strict=True):
                value.copy_(old)
        self.rows.n = self.rewards.n = mark["n"]
        self.steps, self.batches.bit_generator.state = mark["steps"], mark["batches"]

    def train(self, model: nn.Module, steps: int | None = None) -> int:
        """Train the network in place, as the schedule says; ``steps`` overrides its number.

        Returns the number of steps taken, less than planned where a tolerance ends them.

        Raises
        ------
        ValueError
            If the training diverges; the network keeps the parameters that it had.
        """
        mlp, plan, n = replace(take_apart(model), inputs=()), self.schedule, self.n
        factor = mlp.scale**2  # m
        weight = 1.0 if plan.loss == "sum" else 1.0 / n
        pull = factor * self.ridge
        rate = plan.learning_rate
        if plan.step == "theory" and plan.optimiser == "gd":
            rate /= pull + factor * len(mlp.weights) * n * weight
        values = [value.detach() for value in model.parameters()]  # share their memory
        before = [value.clone() for value in values]
        centre = self.initial if plan.towards == "initial" else None
        with torch.no_grad():
            if plan.restart:
                self._start_again(values)
            planned = plan.steps if steps is None else steps
            batch = min(n, plan.batch_size or n)
            one_pass, objective = -(-n // batch), np.inf
            for taken in range(planned):
                if plan.tolerance is not None and taken % one_pass == 0:
                    before_pass, objective = objective, self._objective(mlp, centre, weight, pull)
                    if taken and not before_pass - objective > plan.tolerance * before_pass:
                        planned = taken
                        break
                rows, rewards, share = self._batch()
                gradients = objective_gradient(mlp, rows, rewards, centre, weight / share, pull)
                if plan.optimiser == "adam":
                    gradients = self._scaled(gradients)
                for value, gradient in zip(values, gradients, strict=True):
                    value.add_(gradient, alpha=-rate)
            if not self._moderate(values):
                for value, old in zip(values, before, strict=True):
                    value.copy_(old)
                raise ValueError(
                    f"schedule: training diverged with learning_rate {plan.learning_rate}, "
                    "expected a smaller one"
                )
        return planned

    def _moderate(self, values: list[torch.Tensor]) -> bool:
        """Return whether all parameters are finite, and their products in a sweep are as well."""
        largest = float(torch.cat([value.flatten() for value in values]).abs().max())
        return largest < LARGEST[values[0].dtype]

    def _objective(
        self, mlp: Mlp, centre: list[torch.Tensor] | None, weight: float, pull: float
    ) -> float:
        """Return the objective over all rounds, as ``objective_gradient`` has its gradient."""
        a, layers = self.rows.rows, list(zip(mlp.weights, mlp.biases, strict=True))
        for layer in layers[:-1]:
            a = affine(a, *layer).clamp_min_(0.0)
        scores = mlp.scale * affine(a, *layers[-1])[..., 0]
        errors = float((scores - self.rewards.rows[..., 0]).square().sum())
        parameters = [v for layer in layers for v in layer if v is not None]
        away = parameters if centre is None else zip(parameters, centre, strict=True)
        away = away if centre is None else [value - start for value, start in away]
        return (weight * errors + pull * sum(float(v.square().sum()) for v in away)) / 2

    def _start_again(self, values: list[torch.Tensor]) -> None:
        for value, start in zip(values, self.initial, strict=True):
            value.copy_(start)
        for moment in self.moments:
            moment.zero_()
        self.steps = 0

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Return rows, rewards and which share of all rounds they are."""
        size = self.schedule.batch_size
        if size is None or size >= self.n:
            return self.rows.rows, self.rewards.rows[..., 0], 1.0
        which = torch.from_numpy(self.batches.integers(0, self.n, size))
        which = which.to(self.initial[0].device)
        return self.rows.take(which), self.rewards.take(which)[..., 0], size / self.n

    def _scaled(self, gradients: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the directions in which Adam moves (Kingma & Ba 2015, Algorithm 1)."""
        self.steps += 1
        correction = (1 - 0.9**self.steps, 1 - 0.999**self.steps)
        gradient = torch.cat([value.flatten() for value in gradients])
        mean = self._means.mul_(0.9).add_(gradient, alpha=0.1)
        square = self._squares.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        scale = (square / correction[1]).sqrt_().add_(1e-8)
        return self._views((mean / correction[0]).div_(scale))

    def _views(self, row: torch.Tensor) -> list[torch.Tensor]:
        """Return the parts of a row (p,) in the shapes of the parameters."""
        parts = row.split([value.numel() for value in self.initial])
        return [part.view_as(value) for part, value in zip(parts, self.initial, strict=True)]
