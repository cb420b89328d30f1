"""NeuralUCB: one network for all arms, and optimism in the space of its gradients.

With f(x; θ) the network's score of a row x, g its gradient by θ, and m the width of the network,

    Z = λI + Σ g gᵀ/m over the rounds played,    score = f(x; θ) + α √(gᵀZ⁻¹g/m),

the estimated reward plus α times how unsure it is: LinUCB's score, with gradients in the place of
features (``alg-neuralucb``). After every round Z grows, and the network is trained on all rounds.

``network`` makes f, ``training`` trains it, and ``bonus.FORMS`` names the ways to keep Z; whatever
the paper leaves open or public code does differently is a named option. The greedy policy on the
same network is ``NeuralUCB(..., alpha=0.0)``; ``policies.EpsilonGreedy`` around it is ε-greedy.

Shapes: K arms, d features, p parameters; contexts are (K, d), a row per arm, with any K. With
``n_worlds=S`` every shape gets a leading axis of S.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from recsys import checks
from recsys.gradients import (
    Factors,
    FewFactors,
    backpropagate,
    chunks,
    few_factors,
    take_apart,
)
from recsys.neural.bonus import FORMS
from recsys.neural.diagonal_memory import DiagonalMemory
from recsys.neural.memory import MOST, GradientMemory
from recsys.neural.network import flag, hidden_widths, score_network
from recsys.neural.pruning import contenders
from recsys.neural.refusals import RefusingPolicy, as_array
from recsys.neural.schedule import Schedule
from recsys.neural.training import Replay
from recsys.policies import argmax_random_ties
from recsys.worlds import generator

DTYPES = {"float64": torch.float64, "float32": torch.float32}
LONGEST = {"float64": 1e50, "float32": 1e9}  # beyond it a product of sums could overflow
ARMS = 1_024  # rows that go through the network together
FEW = 2**24  # rows times parameters up to which NumPy is used; faster as far as measured, 6e6


class NeuralUCB(RefusingPolicy):
    """NeuralUCB (``alg-neuralucb``; Zhou, Li & Gu 2020).

    It shows the arm with the largest f(x; θ) + α √(g·Z⁻¹·g / m), g the gradient of f(x; θ) by θ,
    with ties broken at random. After a round, Z grows by g gᵀ/m of the row played, with the
    gradient at the parameters that chose it; then the network is trained on all rounds. Gradients
    of earlier rounds stay in Z as they were.

    Parameters
    ----------
    n_features : int
        Number d of features of a row.
    hidden : tuple of int
        Widths of the hidden layers.
    alpha : float
        Width α of the interval (the paper's γ, here constant), at least 0, in units of the reward.
        With 0 the policy is greedy and keeps no gradients, so it cannot be more than 0 later.
    ridge : float
        λ in Z₀ = λI and in the objective, from 1e-12 to 1e30.
    covariance : {"kernel", "full", "diagonal", "dual"}
        How Z is kept, by its name in ``bonus.FORMS``: exactly, as the activations and deltas of
        the rounds played, or as a p×p inverse, which is faster once far more than p rounds are
        played; as its diagonal alone, as the paper's experiments and most public code have it;
        or exactly, as the gradients of the rounds played, which is for comparison.
    seed : int
        Of the network's initial parameters (world s: ``seed + s``) and, without ``rng``, of ties.
    n_arms : int, optional
        Number K of arms; ``None`` takes any number, and another one in every round.
    n_worlds : int, optional
        Number S of independent worlds played at once; ``None`` for one world without the axis.
    rng : numpy.random.Generator, optional
        Source of the policy's own draws.
    schedule : Schedule, optional
        When and how the network is trained. Another one may be set later.
    init, bias, output_scale, unit_rows :
        As in ``score_network``.
    gradient_scale : {"1/m", "one"}
        What gradients' products are multiplied by, in Z and in the width.
    dtype : {"float64", "float32"}
        Of the network, and of a diagonal Z, which only adds positive numbers; an exact one is kept
        in double precision.
    device : str
        Where everything is computed, such as "cuda".

    Raises
    ------
    ValueError
        If an argument is out of its range; from ``select``, ``ucb`` and ``update`` if an argument
        has a wrong shape or is not finite, or if a row is too long for Z (``digits``), and the
        state is then unchanged; also if the network's scores are not finite. From ``update`` also
        if the training diverges: the round is then kept, and the network as it was before.

    Warns
    -----
    PrecisionWarning
        Once, after the round by which the width of a row has lost half of its digits; without
        ``unit_rows`` that is a matter of the features' units.
    """

    learns = True
    counts_arms = False
    shares_rows = False
    layers = slice(None)  # whose parameters count in Z
    prunes = True  # whether the best arm is that with the largest mean + alpha * width

    def __init__(
        self,
        n_features: int,
        hidden: tuple[int, ...] = (64,),
        alpha: float = 1.0,
        ridge: float = 1.0,
        covariance: str = "kernel",
        seed: int = 0,
        n_arms: int | None = None,
        n_worlds: int | None = None,
        rng: np.random.Generator | None = None,
        schedule: Schedule | None = None,
        init: str = "paper",
        bias: bool = False,
        output_scale: str = "sqrt_m",
        unit_rows: bool = True,
        gradient_scale: str = "1/m",
        dtype: str = "float64",
        device: str = "cpu",
    ) -> None:
        if not isinstance(hidden, tuple | list):
            raise ValueError(
                f"hidden: got {hidden!r}, expected a tuple of integers, such as (64,): the order "
                "is n_features, hidden, alpha, ridge, and n_arms goes by keyword"
            )
        seed = checks.integer("seed", seed, 0)
        rng = generator(seed) if rng is None else rng
        super().__init__(n_arms, n_worlds, rng)
        self.n_features = checks.integer("n_features", n_features, 1)
        self.alpha = checks.number("alpha", alpha, 0.0)
        self.ridge = checks.number("ridge", ridge, 1e-12, MOST)
        plan = self._checked_schedule(Schedule() if schedule is None else schedule)
        self.longest = LONGEST[checks.one_of("dtype", dtype, tuple(DTYPES))]
        checks.one_of("covariance", covariance, tuple(FORMS))
        checks.one_of("gradient_scale", gradient_scale, ("1/m", "one"))
        widths = hidden_widths(hidden)
        network = {
            "n_features": self.n_features,
            "hidden": widths,
            "init": init,
            "bias": flag("bias", bias),
            "output_scale": output_scale,
            "unit_rows": flag("unit_rows", unit_rows),
            "seed": seed,
            "n_worlds": self.n_worlds,
        }
        model = score_network(**network, dtype=DTYPES[dtype])
        try:
            self.model = model.to(torch.device(device))
        except (RuntimeError, AssertionError, TypeError) as error:
            raise ValueError(f"device: got {device!r}, expected one that torch has") from error
        self.model.requires_grad_(False)  # gradients are taken by hand
        self._mlp = take_apart(self.model)
        self.n_parameters = sum(value.numel() for value in self.model.parameters())
        self.settings = network | {
            "alpha": self.alpha,
            "ridge": self.ridge,
            "covariance": covariance,
            "n_arms": self.n_arms,
            "gradient_scale": gradient_scale,
            "dtype": dtype,
            "device": str(device),
        }
        self.scale = 1.0 / widths[-1] if gradient_scale == "1/m" else 1.0
        self.memory = self._new_memory() if self.alpha > 0 else None
        self.replay = Replay(self.model, self.ridge, plan)
        self.rounds = 0

    @property
    def schedule(self) -> Schedule:
        """When and how the network is trained."""
        return self.replay.schedule

    @schedule.setter
    def schedule(self, schedule: Schedule) -> None:
        self.replay.schedule = self._checked_schedule(schedule)

    def _checked_schedule(self, schedule: object) -> Schedule:
        """Return a schedule that the policy can follow."""
        if not isinstance(schedule, Schedule):
            raise ValueError(f"schedule: got {schedule!r}, expected a Schedule")
        if self.n_worlds is not None:
            schedule.refuse_worlds()
        return schedule

    def _new_memory(self) -> GradientMemory:
        form = FORMS[self.settings["covariance"]]
        exact = self.settings["covariance"] != "diagonal"
        dtype = torch.float64 if exact else DTYPES[self.settings["dtype"]]
        return form(self.model, self.ridge, self.scale, self.layers, dtype)

    def _estimates(self, contexts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._refuse_width()
        if self.n_worlds is None and contexts.ndim == 2 and len(contexts) <= ARMS:
            mean, squared = self._chunk(contexts)
            return mean.astype(float), np.sqrt(squared.astype(float))
        worlds = self.n_worlds is not None
        rows = np.moveaxis(contexts, -3, 0) if worlds else contexts  # worlds first
        flat = rows.reshape(*rows.shape[:worlds], -1, self.n_features)  # (..., n, d)
        mean, squared = np.empty((2, *flat.shape[:-1]))
        for part in chunks(flat.shape[-2], ARMS):
            mean[..., part], squared[..., part] = self._chunk(flat[..., part, :])
        both = (values.reshape(rows.shape[:-1]) for values in (mean, np.sqrt(squared)))
        return tuple(np.moveaxis(v, 0, -2) if worlds else v for v in both)

    def _factors(self, rows: np.ndarray) -> Factors:
        """Return the factors of rows (..., n, d) that are already checked."""
        like = self._mlp.weights[0]
        rows = np.ascontiguousarray(rows)  # torch takes no rows that run backwards
        with torch.no_grad():  # the model is public: its parameters may be tracked again
            return backpropagate(
                self._mlp, torch.tensor(rows, dtype=like.dtype, device=like.device)
            )

    def _chunk(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores and the squared widths (..., n) of rows (..., n, d)."""
        found = self._found(rows)
        mean = as_array(found.scores)
        self._refuse_scores(mean)
        squared = 0.0 * mean if self.memory is None else as_array(self.memory.bonus(found))
        return mean, squared

    def _found(self, rows: np.ndarray) -> Factors | FewFactors:
        """Return the factors of rows, without torch where the memory takes them so."""
        like, memory = self._mlp.weights[0], self.memory
        if (
            self.n_worlds is None
            and like.device.type == "cpu"
            and (memory is None or (type(memory) is DiagonalMemory and memory.dtype == like.dtype))
            and len(rows) * self.n_parameters <= FEW
        ):
            return few_factors(self._mlp, rows)
        return self._factors(rows)

    def _learn(self, arms: np.ndarray, context: np.ndarray, rewards: np.ndarray) -> None:
        with self._unless_not_held("context", self._refuses_late()):
            self._play(context[..., None, :], rewards)

    def _play(self, row: np.ndarray, rewards: np.ndarray) -> None:
        """Learn from the row (..., 1, d) that was played."""
        plan, found = self.schedule, self._found(row)
        self._refuse_scores(found.scores)
        before = plan.gradient_at == "before"
        if before:
            self._remember(found)
        elif self.memory is not None:
            self.memory.hold(found)  # most of what Z cannot take is seen before the training
        self.rounds += 1
        due = plan.due(self.rounds)
        if due or plan.replay == "all":
            seen = torch.as_tensor(found.activations[0])  # as the first layer sees the row
            reward = torch.as_tensor(rewards[..., None], dtype=seen.dtype, device=seen.device)
            self.replay.add(seen, reward)
        try:
            if due:
                self.replay.train(self.model)
        finally:
            if not before:
                self._remember(self._found(row))

    def read(self, contexts: ArrayLike, rewards: ArrayLike, steps: int) -> None:
        """Learn at once from rounds that somebody else chose, such as a shop's log.

        The network is trained for ``steps`` steps on these rounds and all before them; then their
        gradients, at the parameters that were found, enter Z. ``contexts`` are the rows (..., n, d)
        that were shown, ``rewards`` are (..., n). Errors are those of ``update``.
        """
        contexts, rewards = self.checked_rounds(contexts, rewards)
        steps = checks.integer("steps", steps, 1)
        parts = [contexts[..., part, :] for part in chunks(contexts.shape[-2], ARMS)]
        with self._unless_not_held("contexts", late=True):
            self._read(parts, rewards, steps)

    def _read(self, parts: list[np.ndarray], rewards: np.ndarray, steps: int) -> None:
        inputs = []
        for found in (self._factors(rows) for rows in parts):
            self._refuse_scores(found.scores)
            if self.memory is not None:
                self.memory.hold(found)
            inputs.append(found.activations[0])
        inputs = torch.cat(inputs, dim=-2)
        self.replay.add(inputs, torch.as_tensor(rewards, dtype=inputs.dtype, device=inputs.device))
        self.rounds += inputs.shape[-2]
        try:
            self.replay.train(self.model, steps)
        finally:
            if self.memory is not None:
                for rows in parts:
                    self.memory.hold(self._factors(rows))
            for rows in parts:
                self._remember(self._factors(rows))

    def _remember(self, found: Factors | FewFactors) -> None:
        """Add the gradient of the row played to Z."""
        if self.memory is not None:
            self.memory.take(found)

    def select(self, contexts: ArrayLike, available: ArrayLike | None = None) -> np.ndarray | int:
        """Return the available arm with the largest bound: an ``int``, or an array of them.

        Among very many arms those that cannot win are not scored (``pruning``).
        """
        few = np.ndim(contexts) != 2 or len(contexts) <= ARMS
        if few or self.memory is None or self.n_worlds is not None or not self.prunes:
            return super().select(contexts, available)
        contexts = self.checked(contexts)
        offered = np.flatnonzero(self.offer(contexts, available))
        rows = contexts if len(offered) == len(contexts) else contexts[offered]
        left = contenders(self._factors, self.memory, self.alpha, rows)
        scores = np.full(len(contexts), -np.inf)
        scores[offered[left]] = self.scores(rows[left])
        return int(argmax_random_ties(scores, self.rng))
