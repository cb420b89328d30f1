"""Other people's gradients and neural bandits, brought to one form.

Each maker returns a callable that writes all K gradients into a K×p array that is used again, in
the order of ``model.parameters()``: what a bonus needs. Libraries that return a tensor a parameter
pay for one copy of it; without the array there is no copy.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

Way = Callable[[], object]


def join(gradients: Iterable[torch.Tensor], out: torch.Tensor | None) -> object:
    """Write per-parameter gradients (K, ...) into out (K, p); without it return them as such."""
    gradients = list(gradients)
    return gradients if out is None else torch.cat([g.flatten(1) for g in gradients], 1, out=out)


def by_vmap(model: nn.Module, X: torch.Tensor, out: torch.Tensor | None) -> Way:
    """``torch.func``: vmap of grad of functional_call."""
    parameters = {name: value.detach() for name, value in model.named_parameters()}

    def score(values: dict, row: torch.Tensor) -> torch.Tensor:
        return functional_call(model, values, (row[None],)).sum()

    each = vmap(grad(score), in_dims=(None, 0))
    return lambda: join(each(parameters, X).values(), out)


def by_backpack(model: nn.Module, X: torch.Tensor, out: torch.Tensor | None) -> Way:
    """BackPACK's BatchGrad: one backward pass over the sum."""
    from backpack import backpack, extend
    from backpack.extensions import BatchGrad

    model = extend(copy.deepcopy(model))
    identity = extend(Sum())

    def run() -> object:
        model.zero_grad(set_to_none=True)
        total = identity(model(X))
        with backpack(BatchGrad()):
            total.backward()
        return join((value.grad_batch for value in model.parameters()), out)

    return run


class Sum(nn.Module):
    """The sum of all scores, whose gradient by each is 1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return Σ x."""
        return x.sum()


def by_opacus(model: nn.Module, X: torch.Tensor, out: torch.Tensor | None) -> Way:
    """Opacus' GradSampleModule: hooks take the factors of one backward pass."""
    from opacus.grad_sample import GradSampleModule

    module = GradSampleModule(copy.deepcopy(model), loss_reduction="sum")

    def run() -> object:
        module.zero_grad(set_to_none=True)
        module(X).sum().backward()
        return join((value.grad_sample for value in module.parameters()), out)

    return run


def by_loop(model: nn.Module, X: torch.Tensor, out: torch.Tensor | None) -> Way:
    """Take a forward and a backward pass for each row."""
    model = copy.deepcopy(model).requires_grad_(True)

    def run() -> None:
        for k in range(len(X)):
            model.zero_grad()
            model(X[k : k + 1]).sum().backward()
            torch.cat([value.grad.flatten() for value in model.parameters()], out=out[k])

    return run


LIBRARIES = {
    "torch.func vmap(grad)": by_vmap,
    "BackPACK BatchGrad": by_backpack,
    "Opacus GradSampleModule": by_opacus,
}


# ---------------------------------------------------------------------- bandits


class Plain:
    """NeuralUCB with the diagonal in plain NumPy, written by hand: no checks, no training.

    It starts from the network and the diagonal of one of our agents with two hidden layers.
    """

    def __init__(self, agent: object) -> None:
        (self.w1, self.w2, self.w3), (self.b1, self.b2, self.b3) = (
            [value.detach().numpy().copy() for value in values]
            for values in (agent._mlp.weights, agent._mlp.biases)
        )
        parts = agent.memory.layers_of(agent.memory.diagonal)
        self.alpha, self.z = agent.alpha, [part.numpy().copy() for pair in parts for part in pair]

    def _pass(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        h1 = np.maximum(x @ self.w1.T + self.b1, 0.0)
        h2 = np.maximum(h1 @ self.w2.T + self.b2, 0.0)
        d2 = (h2 > 0) * self.w3
        return h1, h2, h2 @ self.w3[0] + self.b3, (d2 @ self.w2) * (h1 > 0), d2

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return the bounds (K,) of rows (K, d)."""
        x = x.astype(self.w1.dtype)
        h1, h2, mean, d1, d2 = self._pass(x)
        z1, c1, z2, c2, z3, c3 = self.z
        squared = (((x * x) @ (1 / z1).T + 1 / c1) * (d1 * d1)).sum(axis=1)
        squared += (((h1 * h1) @ (1 / z2).T + 1 / c2) * (d2 * d2)).sum(axis=1)
        squared += (h2 * h2) @ (1 / z3[0]) + 1 / c3
        return mean + self.alpha * np.sqrt(squared)

    def select(self, x: np.ndarray) -> int:
        """Return the first of the best arms."""
        return int(self.scores(x).argmax())

    def update(self, arm: int, row: np.ndarray, reward: float) -> None:
        """Add the squares of the gradient to the diagonal."""
        x = row.astype(self.w1.dtype)
        h1, h2, _, d1, d2 = self._pass(x[None])
        one = np.ones(1, x.dtype)
        for place, (a, delta) in enumerate(((x, d1[0]), (h1[0], d2[0]), (h2[0], one))):
            self.z[2 * place] += np.outer(delta * delta, a * a)
            self.z[2 * place + 1] += delta * delta


class Calvera:
    """calvera's NeuralUCB: diagonal, √(λν g·Z⁻¹·g) with Z = λI + Σ g gᵀ, one backward pass an arm.

    That is ours with ``gradient_scale="one"`` and α = √(λν). Z grows when an arm is chosen, not
    when its reward comes. Training is its loss (mean square) and its optimiser (Adam with weight
    decay) on rows of its own buffer, without Lightning's trainer, which would add to every step.
    """

    def __init__(self, network: nn.Module, n_features: int, ridge: float, alpha: float) -> None:
        from calvera.bandits.neural_ucb_bandit import NeuralUCBBandit

        self.bandit = NeuralUCBBandit(
            n_features,
            network,
            exploration_rate=alpha**2 / ridge,
            weight_decay=ridge,
            early_stop_threshold=None,
        )
        self.optimiser = self.bandit.configure_optimizers()["optimizer"]
        self.rng = np.random.default_rng(0)
        self.scores: torch.Tensor | None = None
        score = self.bandit._score

        def kept(*terms: torch.Tensor) -> torch.Tensor:
            self.scores = score(*terms).detach()
            return self.scores

        self.bandit._score = kept

    def select(self, contexts: torch.Tensor) -> int:
        """Return the arm of rows (K, d); Z learns it."""
        return int(self.bandit(contexts[None])[0].argmax())

    def update(self, arm: int, row: torch.Tensor, reward: float) -> None:
        """Keep a round."""
        self.bandit.record_feedback(row[None, None], torch.tensor([[reward]]))

    def train(self, size: int) -> None:
        """Take a step on ``size`` rounds."""
        buffer = self.bandit.buffer
        which = torch.from_numpy(self.rng.integers(0, len(buffer), size))
        rows, rewards = buffer.contextualized_actions[which], buffer.rewards[which]
        loss = self.bandit._train_network(rows, rewards[:, None])
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


class AgileRL:
    """agilerl's NeuralUCB: gradients of the last layer alone, its exact inverse, a loop over arms.

    Its inverse starts at λI in the place of I/λ (the same for λ = 1), and what should divide by √m
    divides by the root of the number of outputs, 1.
    """

    def __init__(self, n_features: int, n_arms: int, hidden: list[int], alpha: float) -> None:
        from agilerl.algorithms.neural_ucb_bandit import NeuralUCB
        from agilerl.modules import EvolvableMLP
        from gymnasium import spaces

        network = EvolvableMLP(n_features, 1, hidden, layer_norm=False, output_vanish=False)
        box = spaces.Box(-np.inf, np.inf, (n_features,), np.float32)
        self.agent = NeuralUCB(
            box,
            spaces.Discrete(n_arms),
            gamma=alpha,
            actor_network=network,
            batch_size=32,
        )
        self.rows: list[np.ndarray] = []
        self.rewards: list[float] = []
        self.rng = np.random.default_rng(0)

    def select(self, contexts: np.ndarray) -> int:
        """Return the arm of rows (K, d); the inverse learns it."""
        return self.agent.get_action(contexts)

    def update(self, arm: int, row: np.ndarray, reward: float) -> None:
        """Keep a round."""
        self.rows.append(row)
        self.rewards.append(reward)

    def train(self, size: int) -> None:
        """Take a step on ``size`` rounds."""
        from tensordict import TensorDict

        which = self.rng.integers(0, len(self.rows), size)
        rows = torch.from_numpy(np.stack([self.rows[i] for i in which]))
        rewards = torch.tensor([[self.rewards[i]] for i in which])
        self.agent.learn(TensorDict({"obs": rows, "reward": rewards}, batch_size=[size]))
