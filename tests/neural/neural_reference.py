"""NeuralUCB as the paper writes it: autograd, explicit matrices, one thing after the other.

Slow and plain on purpose; it shares no code with recsys but the names of the deviations. Of the
network under test it takes only the initial parameters.
"""

import numpy as np
import torch

from recsys.neural.schedule import Schedule

Parameters = list[torch.Tensor]


class Reference:
    """One world of NeuralUCB with the deviations that recsys names."""

    def __init__(
        self,
        start: Parameters,
        alpha: float,
        ridge: float,
        covariance: str,
        plan: Schedule,
        **options: object,
    ) -> None:
        self.start = [value.detach().clone() for value in start]
        self.theta = [value.clone().requires_grad_() for value in self.start]
        self.alpha, self.ridge, self.plan = alpha, ridge, plan
        self.bias, self.doubled = options["bias"], options["init"] == "paper"
        self.unit_rows, self.diagonal = options["unit_rows"], covariance == "diagonal"
        self.m = self.start[-2 if self.bias else -1].shape[1]
        self.factor = self.m**0.5 if options["output_scale"] == "sqrt_m" else 1.0
        self.scale = 1 / self.m if options["gradient_scale"] == "1/m" else 1.0
        p = sum(value.numel() for value in self.start)
        self.Z = ridge * np.eye(p)
        self.history: list[tuple[np.ndarray, float]] = []
        self.rounds = 0
        self.batches = np.random.default_rng(plan.seed)
        self.adam = torch.optim.Adam(self.theta, lr=plan.learning_rate)

    def score(self, row: np.ndarray) -> torch.Tensor:
        """Return f(x; θ) = √m W_L σ(W_{L-1} ... σ(W_1 x))."""
        x = torch.tensor(row, dtype=torch.float64)
        if self.unit_rows and x.norm() > 0:
            x = x / x.norm()
        if self.doubled:
            x = torch.cat([x, x]) / 2**0.5
        each = 2 if self.bias else 1
        layers = [self.theta[i : i + each] for i in range(0, len(self.theta), each)]
        for n, (weight, *biases) in enumerate(layers):
            x = weight @ x + (biases[0] if biases else 0.0)
            x = x.relu() if n < len(layers) - 1 else x
        return self.factor * x[0]

    def gradient(self, row: np.ndarray) -> np.ndarray:
        """Return g(x; θ)."""
        parts = torch.autograd.grad(self.score(row), self.theta)
        return torch.cat([part.flatten() for part in parts]).numpy()

    def ucb(self, rows: np.ndarray) -> np.ndarray:
        """Return the bound of every row, with Z inverted anew."""
        inverse = np.linalg.inv(np.diag(np.diag(self.Z)) if self.diagonal else self.Z)
        bounds = []
        for row in rows:
            g = self.gradient(row)
            bounds.append(
                self.score(row).item() + self.alpha * np.sqrt(self.scale * g @ inverse @ g)
            )
        return np.array(bounds)

    def update(self, row: np.ndarray, reward: float) -> None:
        """Let Z grow by the row played and train on all rounds so far."""
        if self.plan.gradient_at == "before":
            self.grow(row)
        self.rounds += 1
        late = self.rounds - self.plan.first
        due = late >= 0 and late % self.plan.every == 0
        if due or self.plan.replay == "all":
            self.history.append((row, reward))
        if due:
            self.train()
        if self.plan.gradient_at == "after":
            self.grow(row)

    def grow(self, row: np.ndarray) -> None:
        """Add g gᵀ/m to Z."""
        g = self.gradient(row)
        self.Z = self.Z + self.scale * np.outer(g, g)

    def objective(self, rounds: list[tuple[np.ndarray, float]]) -> torch.Tensor:
        """Return Σ (f - r)²/2 + mλ ‖θ - θ₀‖²/2, the sum of a batch blown up to all rounds."""
        n, plan = len(self.history), self.plan
        errors = sum((self.score(row) - reward) ** 2 for row, reward in rounds) / 2
        errors = errors * n / len(rounds) / (n if plan.loss == "mean" else 1)
        centre = self.start if plan.towards == "initial" else [0 * value for value in self.start]
        pull = sum(((v - c) ** 2).sum() for v, c in zip(self.theta, centre, strict=True)) / 2
        return errors + self.factor**2 * self.ridge * pull

    def train(self) -> None:
        """Take the steps of one training."""
        plan, n = self.plan, len(self.history)
        if plan.restart:
            for value, start in zip(self.theta, self.start, strict=True):
                value.data.copy_(start)
            self.adam = torch.optim.Adam(self.theta, lr=plan.learning_rate)
        n_layers = len(self.theta) // (2 if self.bias else 1)
        rate = plan.learning_rate
        if plan.step == "theory":
            seen = n if plan.loss == "sum" else 1
            rate /= self.factor**2 * (self.ridge + n_layers * seen)
        for _ in range(plan.steps):
            rounds = self.history
            if plan.batch_size is not None and plan.batch_size < n:
                rounds = [self.history[i] for i in self.batches.integers(0, n, plan.batch_size)]
            self.adam.zero_grad()
            self.objective(rounds).backward()
            if plan.optimiser == "adam":
                self.adam.step()
                continue
            for value in self.theta:
                value.data -= rate * value.grad
