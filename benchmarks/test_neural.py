"""NeuralUCB: one decision over 50,000 products, and rounds from end to end."""

import copy

import numpy as np
import pytest
import torch

from neural_peers import LIBRARIES, AgileRL, Calvera, Plain
from race import Runner
from recsys.neural.neuralucb import NeuralUCB
from recsys.neural.schedule import Schedule
from test_bonus import PLAIN

NEVER = Schedule(first=10**9)
SHARED = {**PLAIN, "gradient_scale": "one"}
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
    """Return an agent after 1,000 rounds, untrained."""
    agent = NeuralUCB(ROW, (100, 100), covariance=form, dtype=dtype, schedule=NEVER, **SHARED)
    for row in CATALOGUE[:1_000]:
        agent.update(0, row, 0.0)
    return agent


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_decision_over_50_000_products_by_the_diagonal(race, dtype: str):
    agent = wide("diagonal", dtype)
    bonus = by_diagonal(agent)
    bounds, tolerance = agent.ucb(CATALOGUE), 1e-4 if dtype == "float32" else 1e-9
    loop = naive(agent, CATALOGUE[:PART], bonus)
    assert np.allclose(loop, bounds[:PART], rtol=tolerance, atol=tolerance)
    assert agent.select(CATALOGUE) == bounds.argmax()
    some = torch.from_numpy(CATALOGUE[:PART]).to(agent._mlp.weights[0].dtype)
    buffer = torch.empty(PART, agent.n_parameters, dtype=some.dtype)
    gradients, plain = LIBRARIES["torch.func vmap(grad)"](agent.model, some, buffer), Plain(agent)
    inverse = agent.scale / agent.memory.diagonal

    def by_vmap(_: object) -> None:
        gradients()
        agent.model(some)[:, 0].add_((buffer.square_() @ inverse).sqrt_(), alpha=agent.alpha)

    def by_numpy(_: object) -> None:
        for part in np.split(CATALOGUE, 25):
            plain.scores(part)

    assert np.allclose(
        plain.scores(CATALOGUE[:PART]), bounds[:PART], rtol=tolerance, atol=tolerance
    )
    race(
        f"a decision over 50,000 products, diagonal, p = {len(agent.memory.diagonal):,}, {dtype}",
        "product",
        Runner(lambda _: agent.select(CATALOGUE), len(CATALOGUE)),
        {
            "arm by arm: forward, backward, bonus": Runner(
                lambda _: naive(agent, CATALOGUE[:PART], bonus), PART, note="2,000 rows"
            ),
            "vmap(grad), then the bonus": Runner(by_vmap, PART, note="2,000 rows"),
            "NumPy by hand, all bounds": Runner(by_numpy, len(CATALOGUE)),
            "ours, all bounds": Runner(lambda _: agent.ucb(CATALOGUE), len(CATALOGUE), kind="own"),
            "the sweep's products alone": Runner(
                sweep(agent, len(CATALOGUE)), len(CATALOGUE), kind="limit"
            ),
        },
        repeats=3,
    )


def sweep(agent: NeuralUCB, n: int, part: int = 2_000):
    """Return the products of a forward pass and a sweep back over n rows, in chunks, alone."""
    weights = [w.detach() for w in agent._mlp.weights]
    inputs = [torch.randn(min(part, n), w.shape[1], dtype=w.dtype) for w in weights]
    deltas = [torch.randn(min(part, n), w.shape[0], dtype=w.dtype) for w in weights]

    def run(_: object) -> None:
        for _ in range(-(-n // part)):
            for place, (w, a, delta) in enumerate(zip(weights, inputs, deltas, strict=True)):
                torch.mm(a, w.mT)
                if place:
                    torch.mm(delta, w)

    return run


# ---------------------------------------------------------------------- end to end

D, ALPHA, RIDGE, BATCH = 9, 0.5, 1.0, 32
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
        name: (
            play
            if isinstance(play, Runner)
            else Runner(lambda _, play=play, n=n: play(n), n, kind=kind, note=note)
        )
        for name, (play, n, kind, note) in theirs.items()
    }
    race(work, "round", Runner(lambda _: ours(units), units), runners, repeats=repeats)


def others(agent: NeuralUCB, k: int, train: bool = False) -> dict:
    rows, n = contexts(k), 5 if k < 500 else 1
    calvera, agile = calvera_like(agent), AgileRL(D, k, [100, 100], ALPHA)
    singles = rows.astype(np.float32)
    steps = {}
    if train:
        steps = {"calvera": lambda: calvera.train(BATCH), "agilerl": lambda: agile.train(BATCH)}
    note = "Z learns at the choice"
    found = {
        "calvera": (
            Play(calvera, torch.from_numpy(singles), steps.get("calvera")),
            n,
            "peer",
            note,
        ),
        "agilerl": (
            Play(agile, singles, steps.get("agilerl")),
            n,
            "other",
            "another formula: exact, gradients of the last layer only",
        ),
    }
    if not train:
        found["NumPy by hand"] = (Play(Plain(agent), rows), 100, "peer", "no checks")
    return found


def products_of_a_round(agent: NeuralUCB, k: int, units: int) -> Runner:
    """Return the limit: the products of a decision, with the squares for the bonus, alone."""
    once, squares = sweep(agent, k, k), sweep(agent, k, k)

    def run(_: object) -> None:
        for _ in range(units):
            once(None)
            squares(None)  # as many numbers as those of the bonus

    return Runner(run, units, kind="limit", note="forward, back, and those of the bonus")


def test_calvera_and_numpy_have_the_same_scores():
    rows = contexts(50)
    agent = agent_of("diagonal", NEVER)
    calvera, plain = calvera_like(agent), Plain(agent)
    for X in rows[:30]:
        bounds, arm = agent.ucb(X), agent.select(X)
        assert calvera.select(torch.from_numpy(X).float()) == arm == plain.select(X)
        assert np.allclose(calvera.scores[0], bounds, rtol=1e-4, atol=1e-5)
        assert np.allclose(plain.scores(X), bounds, rtol=1e-4, atol=1e-5)
        for each in (agent, plain):
            each.update(arm, X[arm], 0.0)


@pytest.mark.parametrize("k", [50, 500])
def test_rounds_without_training(race, k: int):
    agent = agent_of("diagonal", NEVER)
    theirs = others(agent, k)
    ours = Play(agent, contexts(k))
    n = theirs["calvera"][1]
    assert ours(10 * n) == theirs["calvera"][0](10 * n)
    theirs["the products alone"] = (products_of_a_round(agent, k, 100), None, None, None)
    race_of(race, f"NeuralUCB, diagonal, untrained, K = {k}", ours, theirs, 100, 7)


def test_rounds_with_a_minibatch_step(race):
    k, agent = 50, agent_of("diagonal", MINIBATCH)
    theirs = others(agent, k, train=True)
    ours = Play(agent, contexts(k))
    untrained = agent_of("diagonal", NEVER)
    assert ours(1)[0] == theirs["calvera"][0](1)[0] == untrained.select(contexts(k)[0])
    theirs["the products alone"] = (products_of_a_round(agent, k, 100), None, None, None)
    work = f"NeuralUCB, diagonal, a step on {BATCH} rounds after each, K = {k}"
    race_of(race, work, ours, theirs, 100, 7)
