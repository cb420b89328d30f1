"""NeuralUCB: one decision over 50,000 products, and rounds from end to end."""

import copy
import time

import numpy as np
import pytest
import torch

from neural_peers import AgileRL, Calvera
from race import Runner
from recsys.gradients.backprop import gradient_factors
from recsys.neural.neuralucb import NeuralUCB
from recsys.neural.training import Schedule
from test_bonus import PLAIN, full_memory, kernel_memory

NEVER = Schedule(first=10**9)
pytestmark = pytest.mark.filterwarnings("ignore")  # those of other people's code

# ---------------------------------------------------------------------- 50,000 products

ROW, PART = 15, 2_000
CATALOGUE = np.random.default_rng(7).normal(size=(50_000, ROW))


def naive(agent: NeuralUCB, X: np.ndarray, bonus) -> np.ndarray:
    """Return the bounds of rows one by one: forward, backward, bonus of the gradient."""
    model, like = copy.deepcopy(agent.model).requires_grad_(True), agent._mlp.weights[0]
    bounds = []
    for row in torch.from_numpy(X).to(like.dtype):
        model.zero_grad()
        score = model(row[None]).sum()
        score.backward()
        g = torch.cat([value.grad.flatten() for value in model.parameters()])
        bounds.append(score.item() + agent.alpha * float(bonus(g)) ** 0.5)
    return np.array(bounds)


def by_diagonal(agent: NeuralUCB):
    diagonal = agent.memory.diagonal
    return lambda g: agent.scale * (g.square() / diagonal).sum()


def wide(form: str, dtype: str) -> NeuralUCB:
    """Return the wide network of chapter 3 after 1,000 rounds, untrained as there."""
    agent = NeuralUCB(ROW, (100, 100), covariance=form, dtype=dtype, schedule=NEVER)
    for row in CATALOGUE[:1_000]:
        agent.update(0, row, 0.0)
    return agent


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_decision_over_50_000_products_by_the_diagonal(race, dtype: str):
    agent = wide("diagonal", dtype)
    bonus = by_diagonal(agent)
    start = time.perf_counter()
    bounds = naive(agent, CATALOGUE, bonus)
    whole = time.perf_counter() - start
    tolerance = 1e-4 if dtype == "float32" else 1e-9
    assert np.allclose(agent.ucb(CATALOGUE), bounds, rtol=tolerance, atol=tolerance)
    assert agent.select(CATALOGUE) == bounds.argmax()
    start = time.perf_counter()
    naive(agent, CATALOGUE[:PART], bonus)
    part = time.perf_counter() - start
    race.fact("all rows by the loop / as many slices", whole / part / len(CATALOGUE) * PART)
    race(
        f"a decision over 50,000 products, diagonal, p = {len(agent.memory.diagonal):,}, {dtype}",
        "product",
        Runner(lambda _: agent.select(CATALOGUE), len(CATALOGUE)),
        {
            "arm by arm: forward, backward, bonus": Runner(
                lambda _: naive(agent, CATALOGUE[:PART], bonus), PART, goal=500.0, note="2,000 rows"
            ),
            "ours, all bounds": Runner(lambda _: agent.ucb(CATALOGUE), len(CATALOGUE)),
        },
        repeats=5,
    )


def test_a_decision_over_50_000_products_exactly(race):
    agent, few = wide("kernel", "float64"), 10
    played = gradient_factors(agent.model, CATALOGUE[:1_000])
    memory = full_memory(agent.model, played, agent.scale)
    bounds = agent.ucb(CATALOGUE)
    assert agent.select(CATALOGUE) == bounds.argmax()
    inverse = memory.Z_inv

    def bonus(g: torch.Tensor) -> torch.Tensor:
        return agent.scale * (g @ inverse) @ g

    assert np.allclose(naive(agent, CATALOGUE[:few], bonus), bounds[:few], rtol=1e-8)
    diagonal = wide("diagonal", "float64")
    cheap = by_diagonal(diagonal)
    race(
        f"a decision over 50,000 products, exact after 1,000 rounds, p = {len(inverse):,}, float64",
        "product",
        Runner(lambda _: agent.select(CATALOGUE), len(CATALOGUE)),
        {
            "arm by arm with the p×p inverse": Runner(
                lambda _: naive(agent, CATALOGUE[:few], bonus), few, goal=500.0, note="10 rows"
            ),
            "arm by arm with the diagonal": Runner(
                lambda _: naive(diagonal, CATALOGUE[:PART], cheap),
                PART,
                note="less work: 2,000 rows, no exact bonus",
            ),
            "ours, all bounds": Runner(lambda _: agent.ucb(CATALOGUE), len(CATALOGUE)),
        },
        repeats=3,
    )


# ---------------------------------------------------------------------- end to end

D, ALPHA, RIDGE, BATCH = 9, 0.5, 1.0, 32
SHARED = {**PLAIN, "gradient_scale": "one"}
MINIBATCH = Schedule(
    steps=1,
    learning_rate=1e-3,
    step="constant",
    batch_size=BATCH,
    restart=False,
    towards="zero",
    loss="mean",
    optimiser="adam",
)


class Play:
    """Rounds on rows that are made beforehand, in the form that a bandit takes them."""

    def __init__(self, bandit, rows, train=None) -> None:
        self.bandit, self.rows, self.train, self.place = bandit, rows, train, 0

    def __call__(self, rounds: int) -> list[int]:
        """Play some rounds and return the arms."""
        arms = []
        for _ in range(rounds):
            rows = self.rows[self.place % len(self.rows)]
            self.place += 1
            arm = self.bandit.select(rows)
            reward = float(rows[arm, 0] > 0)
            self.bandit.update(arm, rows[arm], reward)
            if self.train is not None:
                self.train()
            arms.append(arm)
        return arms


def agent_of(covariance: str, schedule: Schedule) -> NeuralUCB:
    dtype = "float64" if covariance == "kernel" else "float32"
    return NeuralUCB(
        D,
        (100, 100),
        ALPHA,
        RIDGE,
        covariance,
        schedule=schedule,
        dtype=dtype,
        **SHARED,
    )


def calvera_like(agent: NeuralUCB) -> Calvera:
    network = copy.deepcopy(agent.model).float().requires_grad_(True)
    return Calvera(network, D, RIDGE, ALPHA)


def contexts(k: int) -> np.ndarray:
    return np.random.default_rng(k).normal(size=(200, k, D))


def race_of(race, work: str, ours: Play, theirs: dict, units: int, repeats: int) -> None:
    runners = {
        name: Runner(lambda _, play=play, n=n: play(n), n, goal=goal, note=note)
        for name, (play, n, goal, note) in theirs.items()
    }
    race(work, "round", Runner(lambda _: ours(units), units), runners, repeats=repeats)


def others(agent: NeuralUCB, k: int, goal: float, train: bool = False) -> dict:
    rows, n = contexts(k), 5 if k < 500 else 1
    calvera, agile = calvera_like(agent), AgileRL(D, k, [100, 100], ALPHA)
    singles = rows.astype(np.float32)
    steps = {}
    if train:
        steps = {"calvera": lambda: calvera.train(BATCH), "agilerl": lambda: agile.train(BATCH)}
    note = "Z learns at the choice"
    return {
        "calvera": (Play(calvera, torch.from_numpy(singles), steps.get("calvera")), n, goal, note),
        "agilerl": (
            Play(agile, singles, steps.get("agilerl")),
            n,
            goal,
            "another formula: exact, gradients of the last layer only",
        ),
    }


def test_calvera_has_the_same_scores():
    rows = contexts(50)
    agent = agent_of("diagonal", NEVER)
    calvera = calvera_like(agent)
    for X in rows[:30]:
        bounds, arm = agent.ucb(X), agent.select(X)
        assert calvera.select(torch.from_numpy(X).float()) == arm
        assert np.allclose(calvera.scores[0], bounds, rtol=1e-4, atol=1e-5)
        agent.update(arm, X[arm], 0.0)


@pytest.mark.parametrize(("k", "goal"), [(50, 40.0), (500, 200.0)])
def test_rounds_without_training(race, k: int, goal: float):
    agent = agent_of("diagonal", NEVER)
    theirs = others(agent, k, goal)
    ours = Play(agent, contexts(k))
    n = theirs["calvera"][1]
    assert ours(10 * n) == theirs["calvera"][0](10 * n)
    race_of(race, f"NeuralUCB, diagonal, untrained, K = {k}", ours, theirs, 100, 5)


@pytest.mark.parametrize("k", [50, 500])
def test_rounds_with_a_minibatch_step(race, k: int):
    agent = agent_of("diagonal", MINIBATCH)
    theirs = others(agent, k, 20.0, train=True)
    ours = Play(agent, contexts(k))
    untrained = agent_of("diagonal", NEVER)
    assert ours(1)[0] == theirs["calvera"][0](1)[0] == untrained.select(contexts(k)[0])
    work = f"NeuralUCB, diagonal, a step on {BATCH} rounds after each, K = {k}"
    race_of(race, work, ours, theirs, 100, 5)


@pytest.mark.parametrize("t", [0, 990])
@pytest.mark.parametrize("k", [50, 500])
def test_exact_rounds(race, k: int, t: int):
    agent = agent_of("kernel", NEVER)
    rows = contexts(k)
    if t:
        played = gradient_factors(agent.model, np.random.default_rng(3).normal(size=(t, D)))
        agent.memory = kernel_memory(agent.model, played, agent.scale)
        agent.rounds = t
    diagonal = agent_of("diagonal", NEVER)
    calvera, n, _, note = others(diagonal, k, 5.0)["calvera"]
    if t:  # the others only know the diagonal; the first bounds are those of λI in both
        full = full_memory(agent.model, played, agent.scale)
        found = gradient_factors(agent.model, rows[0])
        assert torch.allclose(full.bonus(found), agent.memory.bonus(found), rtol=1e-8)
    else:
        assert calvera(1)[0] == agent.select(rows[0])
        assert np.allclose(calvera.bandit.scores[0], agent.ucb(rows[0]), rtol=1e-4, atol=1e-5)
    theirs = {"calvera": (calvera, n, 5.0, f"{note}; diagonal")}
    work = f"NeuralUCB, exact, untrained, K = {k}, rounds {t:,} to {t + 60:,}"
    race_of(race, work, Play(agent, rows), theirs, 10, 5)
