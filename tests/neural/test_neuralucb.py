from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from neural_reference import Reference
from recsys.lab.experiment import run
from recsys.linear.linucb import SharedLinUCB
from recsys.neural import neuralucb
from recsys.neural.bonus import FORMS, exploration_bonus
from recsys.neural.diagonal_memory import DiagonalMemory
from recsys.neural.dual_memory import KernelMemory
from recsys.neural.memory import FullMemory
from recsys.neural.neuralucb import NeuralUCB
from recsys.neural.relatives import NeuralLinear, NeuralThompson
from recsys.neural.schedule import Schedule
from recsys.policies.exploration import EpsilonGreedy
from recsys.policies.simple import RandomPolicy
from recsys.shop.features import JointFeatures
from recsys.shop.simulator import Shop
from strategies import (
    NOT_NUMBERS,
    few,
    never_shows_what_is_off_sale,
    refuses,
    refuses_bad_feedback,
    small_shop,
    snapshot,
)

NETWORK = {
    "init": "paper",
    "bias": False,
    "output_scale": "sqrt_m",
    "unit_rows": True,
    "gradient_scale": "1/m",
}
DEVIATIONS: dict[str, dict[str, object]] = {
    "as published": {},
    "two hidden layers": {"hidden": (6, 4)},
    "biases": {"bias": True},
    "torch's initialisation": {"init": "torch", "bias": True},
    "no square root of m": {"output_scale": "one"},
    "no division by m": {"gradient_scale": "one"},
    "rows as they come": {"unit_rows": False},
    "warm start": {"restart": False},
    "weight decay": {"towards": "zero"},
    "mean loss": {"loss": "mean"},
    "constant step": {"step": "constant", "learning_rate": 0.01},
    "batches": {"batch_size": 3},
    "seldom": {"every": 3, "first": 2},
    "rounds lost": {"every": 2, "replay": "trained"},
    "gradient after the training": {"gradient_at": "after"},
    "adam": {"optimiser": "adam", "step": "constant", "learning_rate": 0.01},
    "adam, warm, batches": {
        "optimiser": "adam",
        "step": "constant",
        "learning_rate": 0.01,
        "restart": False,
        "batch_size": 2,
    },
}
MAKERS: dict[str, Callable[..., NeuralUCB]] = {
    "kernel": NeuralUCB,
    "full": lambda *a, **k: NeuralUCB(*a, covariance="full", **k),
    "diagonal": lambda *a, **k: NeuralUCB(*a, covariance="diagonal", **k),
    "dual": lambda *a, **k: NeuralUCB(*a, covariance="dual", **k),
    "thompson": NeuralThompson,
    "linear": NeuralLinear,
    "greedy": lambda *a, **k: NeuralUCB(*a, **{**k, "alpha": 0.0}),
}
every_policy = pytest.mark.parametrize("name", MAKERS)


def make(name: str = "kernel", hidden: tuple = (6,), **options: object) -> tuple[NeuralUCB, dict]:
    """Return a policy on three features; options of the schedule are taken out of the others."""
    network = {**NETWORK, **{k: options.pop(k) for k in list(options) if k in NETWORK}}
    plan = set(Schedule.__dataclass_fields__) - {"seed"}  # the seed is the policy's
    own = {k: options.pop(k) for k in list(options) if k in plan}
    own.setdefault("steps", 4)
    own.setdefault("learning_rate", 0.8)
    return MAKERS[name](3, hidden, schedule=Schedule(**own), **options, **network), network


def teach(policy: NeuralUCB, rounds: int = 12, seed: int = 2) -> NeuralUCB:
    rng = np.random.default_rng(seed)
    shape = () if policy.n_worlds is None else (policy.n_worlds,)
    for _ in range(rounds):
        row, reward = rng.standard_normal((*shape, 3)), rng.random(shape)
        policy.update(rng.integers(0, 5, shape), row, reward)
    return policy


# ---------------------------------------------------------------------- against the paper


@pytest.mark.parametrize("deviation", DEVIATIONS)
@pytest.mark.parametrize("covariance", FORMS)
def test_ucb_is_that_of_the_paper_by_autograd_and_an_explicit_inverse(
    covariance: str, deviation: str
):
    policy, network = make(covariance, alpha=0.7, ridge=0.4, seed=3, **DEVIATIONS[deviation])
    start = list(policy.model.parameters())
    plain = Reference(start, 0.7, 0.4, covariance, policy.schedule, **network)
    rng = np.random.default_rng(4)
    for _ in range(9):
        rows = rng.standard_normal((5, 3))
        assert np.allclose(policy.ucb(rows), plain.ucb(rows), rtol=0, atol=1e-8)
        arm, reward = int(rng.integers(5)), float(rng.normal())
        policy.update(arm, rows[arm], reward)
        plain.update(rows[arm], reward)
    rows = rng.standard_normal((5, 3))
    assert np.allclose(policy.ucb(rows), plain.ucb(rows), rtol=0, atol=1e-8)


@pytest.mark.parametrize("deviation", [name for name in DEVIATIONS if name != "as published"])
def test_every_deviation_makes_a_difference(deviation: str):
    rows = np.random.default_rng(5).standard_normal((5, 3))
    bounds = [
        teach(make(alpha=0.7, ridge=0.4, **options)[0]).ucb(rows)
        for options in ({}, DEVIATIONS[deviation])
    ]
    assert not np.allclose(*bounds, rtol=0, atol=1e-4)


@few
@given(seed=st.integers(0, 10_000), ridge=st.sampled_from([0.1, 1.0, 9.0]), bias=st.booleans())
def test_the_exact_covariances_agree(seed: int, ridge: float, bias: bool):
    rows = np.random.default_rng(seed).standard_normal((5, 3))
    bounds = [
        teach(make(name, ridge=ridge, seed=seed, bias=bias)[0], 10, seed).ucb(rows)
        for name in ("kernel", "full")
    ]
    assert np.allclose(*bounds, rtol=0, atol=1e-9)


def test_the_first_bound_is_all_width_and_worked_out_by_hand():
    policy, _ = make(hidden=(2,), alpha=3.0, ridge=4.0)
    W, w = (value.numpy() for value in policy.model.parameters())
    x = np.array([3.0, 0.0, 4.0])
    twice = np.concatenate([x, x]) / np.sqrt(2) / 5
    on = W @ twice > 0
    squared = sum((W[i] @ twice) ** 2 + w[0, i] ** 2 for i in range(2) if on[i])  # ‖∇f‖²/2
    assert squared > 0
    mean, width = policy.estimates([x])
    assert mean.tolist() == [0.0]
    assert width == pytest.approx([np.sqrt(squared / 4.0)])  # f = √2 ..., and then /m = /2
    assert policy.ucb([x]) == pytest.approx([3.0 * np.sqrt(squared / 4.0)])


def test_covariances_are_what_they_are_called():
    kinds = {"kernel": KernelMemory, "full": FullMemory, "diagonal": DiagonalMemory}
    for name, kind in kinds.items():
        assert type(make(name)[0].memory) is kind
    assert NeuralUCB(3).settings["covariance"] == "kernel"


@every_policy
def test_ucb_changes_nothing_and_involves_no_chance(name: str):
    policy, rows = teach(make(name)[0]), np.random.default_rng(3).standard_normal((5, 3))
    before = snapshot(policy)
    assert np.array_equal(policy.ucb(rows), policy.ucb(rows))
    assert policy.ucb(rows).shape == (5,)
    assert snapshot(policy) == before


def test_the_gradient_of_z_is_taken_before_the_training():
    policy, _ = make("full", alpha=1.0)
    teach(policy, 6)
    row = np.array([0.4, -1.0, 0.7])
    _, width = policy.estimates([row])
    before = policy.memory.Z_inv.clone()
    policy.update(0, row, 1.0)
    # det Z grows by the factor 1 + width² at the parameters that were there before
    growth = torch.linalg.det(before) / torch.linalg.det(policy.memory.Z_inv)
    assert float(growth) == pytest.approx(1 + width[0] ** 2, rel=1e-9)


def test_training_leaves_z_and_forgets_no_round():
    seldom, _ = make("full", every=5)
    teach(seldom, 4)
    Z_inv, model = seldom.memory.Z_inv.clone(), snapshot(seldom.model)
    seldom.replay.train(seldom.model)
    assert snapshot(seldom.model) != model
    assert torch.equal(seldom.memory.Z_inv, Z_inv)
    teach(seldom, 96)
    assert seldom.replay.n == seldom.rounds == seldom.memory.rounds == 100


# ---------------------------------------------------------------------- shapes


@pytest.mark.parametrize("name", [name for name in MAKERS if name != "thompson"])
@pytest.mark.parametrize("deviation", ["as published", "biases", "adam, warm, batches"])
def test_many_worlds_are_one_policy_in_each(name: str, deviation: str):
    rng, options = np.random.default_rng(6), {**DEVIATIONS[deviation], "every": 2}
    together, _ = make(name, seed=8, n_worlds=3, **options)
    alone = [make(name, seed=8 + world, **options)[0] for world in range(3)]
    for _ in range(8):
        rows, rewards = rng.standard_normal((3, 5, 3)), rng.standard_normal(3)
        bounds = together.ucb(rows)
        assert bounds.shape == (3, 5)
        expected = [policy.ucb(r) for policy, r in zip(alone, rows, strict=True)]
        assert np.allclose(bounds, expected, rtol=0, atol=1e-9)
        arms = rng.integers(0, 5, 3)
        together.update(arms, rows[np.arange(3), arms], rewards)
        for world, policy in enumerate(alone):
            policy.update(int(arms[world]), rows[world, arms[world]], float(rewards[world]))
    assert together.select(rows).shape == (3,)


@every_policy
@pytest.mark.parametrize("worlds", [None, 2])
def test_leading_axes_of_rows_are_visits_served_in_bulk(name: str, worlds: int | None):
    policy = teach(make(name, n_worlds=worlds)[0])
    lead = () if worlds is None else (worlds,)
    rows = np.random.default_rng(3).standard_normal((2, 4, *lead, 5, 3))
    bounds = policy.ucb(rows)
    assert bounds.shape == (2, 4, *lead, 5)
    for place in np.ndindex(2, 4):
        assert np.allclose(bounds[place], policy.ucb(rows[place]), rtol=0, atol=1e-12)
    arms = policy.select(rows)
    assert arms.shape == (2, 4, *lead)


@every_policy
def test_arms_go_through_in_chunks_that_change_nothing(name: str, monkeypatch):
    policy, rows = teach(make(name)[0]), np.random.default_rng(3).standard_normal((50, 3))
    whole, sizes, plain = policy.ucb(rows), [], type(policy)._chunk

    def watched(self: NeuralUCB, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sizes.append(len(part))
        return plain(self, part)

    monkeypatch.setattr(type(policy), "_chunk", watched)
    monkeypatch.setattr(neuralucb, "ARMS", 8)
    assert np.allclose(policy.ucb(rows), whole, rtol=0, atol=1e-12)
    assert sizes == [8] * 6 + [2]


@every_policy
def test_any_number_of_arms_comes_and_goes(name: str):
    policy = teach(make(name)[0])
    for k in (1, 7, 200, 3):
        rows = np.random.default_rng(k).standard_normal((k, 3))
        arm = policy.select(rows)
        assert 0 <= arm < k
        policy.update(arm, rows[arm], 1.0)
    fixed, _ = make(name, n_arms=5)
    fixed.update(4, np.ones(3), 1.0)
    with refuses("arm", fixed):
        fixed.update(5, np.ones(3), 1.0)
    with refuses("contexts", fixed):
        fixed.select(np.ones((6, 3)))


def test_a_model_whose_parameters_are_tracked_again_serves_and_learns():
    policy, plain = teach(make()[0]), teach(make()[0])
    policy.model.requires_grad_(True)  # as whoever takes gradients of it by autograd does
    rows = np.random.default_rng(0).standard_normal((4, policy.n_features))
    assert np.array_equal(policy.ucb(rows), plain.ucb(rows))
    for either in (policy, plain):
        either.update(0, rows[0], 1.0)
    assert np.array_equal(policy.ucb(rows), plain.ucb(rows))


@every_policy
def test_rows_may_be_views(name: str):
    policy, X = teach(make(name)[0]), np.random.default_rng(3).standard_normal((5, 3))
    locked = X.copy()
    locked.flags.writeable = False
    for view in (locked, X[::-1], np.asfortranarray(X), np.broadcast_to(X[0], (5, 3))):
        assert np.allclose(policy.ucb(view), policy.ucb(view.copy()), rtol=0, atol=1e-12)
    policy.update(0, locked[0], 1.0)
    policy.update(0, X[0][::-1], 1.0)


# ---------------------------------------------------------------------- choosing


@every_policy
def test_arms_that_look_alike_are_shown_uniformly(name: str):
    policy = make(name, rng=np.random.default_rng(5))[0]
    counts = np.bincount(policy.select(np.tile([1.0, 2.0, 3.0], (10_000, 5, 1))), minlength=5)
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("name", ["kernel", "full", "diagonal", "greedy", "linear"])
def test_the_largest_bound_is_shown(name: str):
    policy, rows = teach(make(name)[0]), np.random.default_rng(3).standard_normal((40, 5, 3))
    assert np.array_equal(policy.select(rows), policy.ucb(rows).argmax(axis=-1))


@every_policy
@few
@given(data=st.data(), worlds=st.sampled_from([None, 3]))
def test_an_arm_off_sale_is_never_shown(name: str, data: st.DataObject, worlds: int | None):
    never_shows_what_is_off_sale(make(name, n_worlds=worlds)[0], data, worlds)


def test_without_width_the_greedy_network_is_left_and_epsilon_greedy_goes_around_it():
    greedy, rows = teach(make("greedy")[0]), np.random.default_rng(3).standard_normal((5, 3))
    assert greedy.memory is None
    f = greedy.model(torch.from_numpy(rows))[:, 0].numpy()
    assert np.allclose(greedy.ucb(rows), f, rtol=0, atol=1e-12)
    assert (greedy.estimates(rows)[1] == 0).all()
    policy = EpsilonGreedy(greedy, 0.4, np.random.default_rng(6))
    assert policy.learns
    shown = np.bincount([policy.select(rows) for _ in range(2_000)], minlength=5)
    expected = 2_000 * np.where(np.arange(5) == f.argmax(), 0.68, 0.08)
    assert stats.chisquare(shown, expected).pvalue > 1e-3
    assert np.allclose(2_000 * policy.probabilities(rows), expected)
    before = snapshot(greedy.model)
    policy.update(0, rows[0], 1.0)
    assert snapshot(greedy.model) != before


# ---------------------------------------------------------------------- seeds, disk, devices


@every_policy
def test_a_seed_decides_everything_and_the_global_generators_are_left_alone(name: str):
    def play(seed: int) -> tuple[list[int], np.ndarray]:
        rng, policy = np.random.default_rng(0), make(name, seed=seed, batch_size=3)[0]
        arms = []
        for _ in range(10):
            rows = rng.standard_normal((5, 3))
            arms.append(policy.select(rows))
            policy.update(arms[-1], rows[arms[-1]], rng.random())
        return arms, policy.ucb(rows)

    torch.manual_seed(7)
    state, legacy = torch.get_rng_state(), snapshot(np.random.get_state())  # noqa: NPY002
    first, again, other = play(0), play(0), play(1)
    assert first[0] == again[0]
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])
    assert torch.equal(torch.get_rng_state(), state)
    assert snapshot(np.random.get_state()) == legacy  # noqa: NPY002


@every_policy
@pytest.mark.parametrize("worlds", [None, 2])
@pytest.mark.parametrize("deviation", ["as published", "adam, warm, batches"])
def test_a_policy_read_from_disk_goes_on_as_if_nothing_had_happened(
    name: str, worlds: int | None, deviation: str, tmp_path: Path
):
    policy, shape = make(name, n_worlds=worlds, **DEVIATIONS[deviation])[0], ()
    shape = () if worlds is None else (worlds,)
    for rounds in (0, 7):
        teach(policy, rounds)
        policy.save(tmp_path / "policy")
        again = type(policy).load(tmp_path / "policy")
        rng = np.random.default_rng(9)
        for _ in range(3):
            rows = rng.standard_normal((*shape, 5, 3))
            assert np.array_equal(policy.ucb(rows), again.ucb(rows))
            arms = policy.select(rows)
            assert np.array_equal(arms, again.select(rows))
            played = np.take_along_axis(rows, np.asarray(arms)[..., None, None], -2)[..., 0, :]
            for each in (policy, again):
                each.update(arms, played, np.ones(shape))
        assert snapshot(again.replay.rows.rows) == snapshot(policy.replay.rows.rows)
        assert again.settings == policy.settings


def test_many_rounds_are_read_from_disk(tmp_path: Path):
    policy, _ = make(steps=1, every=1_000)
    teach(policy, 300)  # more than a block of the factor
    policy.save(tmp_path / "policy.npz")
    again, rows = NeuralUCB.load(tmp_path / "policy.npz"), np.eye(3)
    assert np.array_equal(again.ucb(rows), policy.ucb(rows))
    with refuses("path"):
        NeuralThompson.load(tmp_path / "policy.npz")


def test_single_precision_is_asked_for():
    rows = np.random.default_rng(3).standard_normal((5, 3))
    double, single = (teach(make(dtype=dtype)[0]) for dtype in ("float64", "float32"))
    assert next(single.model.parameters()).dtype == torch.float32
    assert single.memory.dtype == torch.float64
    assert make("diagonal", dtype="float32")[0].memory.dtype == torch.float32
    assert single.ucb(rows).dtype == np.float64
    assert np.allclose(single.ucb(rows), double.ucb(rows), atol=1e-3)
    with refuses("contexts", single):
        single.ucb(np.full((5, 3), 1e30))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@every_policy
def test_the_same_on_a_gpu(name: str, tmp_path: Path):
    rows = np.random.default_rng(3).standard_normal((5, 3))
    here, there = (teach(make(name, device=device)[0]) for device in ("cpu", "cuda"))
    assert next(there.model.parameters()).is_cuda
    assert np.allclose(here.ucb(rows), there.ucb(rows), atol=1e-8)
    here.save(tmp_path / "policy")
    moved = type(here).load(tmp_path / "policy", device="cuda")
    assert np.allclose(moved.ucb(rows), here.ucb(rows), atol=1e-8)


# ---------------------------------------------------------------------- in the shop


@every_policy
def test_learning_earns_more_than_chance(name: str):
    shop, n = Shop(seed=2), 1_200
    makers = JointFeatures(shop)
    plan = Schedule(steps=2, batch_size=64, restart=False, learning_rate=3.0)
    policy = MAKERS[name](
        makers.n_features, (32,), alpha=0.02, schedule=plan, rng=shop.policy_rng(name)
    )
    learnt = run(shop, policy, makers, 0, n)
    chance = run(shop, RandomPolicy(50, rng=shop.policy_rng("random")), makers, 0, n)
    late = slice(n // 2, n)
    assert learnt.mu[late].mean() > 1.15 * chance.mu[late].mean()


def test_a_reward_that_is_not_linear_is_learnt():
    worlds, n, k, d = 5, 400, 4, 6
    plan = Schedule(steps=5, restart=False)
    policies = {
        "neural": NeuralUCB(d, (32,), 0.5, 0.1, n_worlds=worlds, schedule=plan),
        "linear": SharedLinUCB(k, d, 0.5, 0.1, n_worlds=worlds),
    }
    late = {}
    for name, policy in policies.items():
        rng, regret = np.random.default_rng(0), np.zeros((n, worlds))
        secret = rng.standard_normal((worlds, d))
        for t in range(n):
            rows = rng.standard_normal((worlds, k, d))
            rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
            cosine = np.einsum("skd,sd->sk", rows, secret) / np.linalg.norm(secret, axis=1)[:, None]
            mu = 2.0 * cosine**2
            arms = policy.select(rows)
            shown = mu[np.arange(worlds), arms]
            noisy = shown + 0.1 * rng.standard_normal(worlds)
            policy.update(arms, rows[np.arange(worlds), arms], noisy)
            regret[t] = mu.max(axis=1) - shown
        late[name] = regret[n // 2 :].mean(axis=0)
    assert (late["neural"] < 0.3 * late["linear"]).all()  # in every world


class Distinct(JointFeatures):
    """No two products look alike, so there are no ties: chance has no say."""

    n_features = JointFeatures.n_features + 1

    def _rows(self, users: np.ndarray, products: np.ndarray, rounds: np.ndarray) -> np.ndarray:
        rows = super()._rows(users, products, rounds)
        return np.concatenate([rows, products[..., None] / 10.0], axis=-1)


def test_shops_played_together_are_shops_played_alone():
    shops = [small_shop(seed, base_logit=-1.0) for seed in range(3)]
    makers = [Distinct(shop) for shop in shops]
    d, plan = makers[0].n_features, Schedule(steps=3, every=10)
    together = run(shops, NeuralUCB(d, (8,), 0.3, schedule=plan, n_worlds=3), makers, 0, 60)
    for world, shop in enumerate(shops):
        policy = NeuralUCB(d, (8,), 0.3, schedule=plan, seed=world)
        alone = run(shop, policy, makers[world], 0, 60)
        assert np.array_equal(together.arms[world], alone.arms)


# ---------------------------------------------------------------------- bad input


@every_policy
@pytest.mark.parametrize("worlds", [None, 2])
def test_bad_contexts_are_refused(name: str, worlds: int | None):
    policy = teach(make(name, n_worlds=worlds)[0])
    lead = () if worlds is None else (worlds,)
    bad = [np.ones((*lead, *shape)) for shape in ((), (3,), (5, 4), (5, 2), (0, 3))]
    bad += [np.ones((7, 5, 3))] if worlds else []
    for value in (np.nan, np.inf, -np.inf, 1e200):
        rows = np.ones((*lead, 5, 3))
        rows[..., 3, 1] = value
        bad.append(rows)
    for contexts in [*bad, "row", None, [["a"] * 3] * 5]:
        for verb in (policy.select, policy.ucb, policy.estimates, policy.probabilities):
            with refuses("contexts", policy):
                verb(contexts)
    rows = np.ones((*lead, 5, 3))
    for mask in (np.ones(4, dtype=bool), np.zeros(5, dtype=bool), np.ones(5), np.ones((9, 5)) > 0):
        with refuses("available", policy):
            policy.select(rows, mask)


@every_policy
@pytest.mark.parametrize("worlds", [None, 2])
def test_bad_feedback_is_refused(name: str, worlds: int | None):
    refuses_bad_feedback(teach(make(name, n_worlds=worlds)[0]), worlds)


@every_policy
def test_settings_outside_their_range_are_refused(name: str):
    new = MAKERS[name]
    for value in (0, -1, 2.0, True, "3", np.nan, None):
        with refuses("n_features"):
            new(value)
        with refuses("hidden"):
            new(3, (4, value))
    for value in (0, -1, 2.0, True, "3"):
        with refuses("n_worlds"):
            new(3, n_worlds=value)
        with refuses("n_arms"):
            new(3, n_arms=value)
    for value in (0.0, -1.0, 1e-13, *NOT_NUMBERS):
        with refuses("ridge"):
            new(3, ridge=value)
    for value in (-1, 2.0, *NOT_NUMBERS):
        with refuses("seed"):
            new(3, seed=value)
    for argument in ("init", "output_scale", "gradient_scale", "dtype"):
        with refuses(argument):
            new(3, **{argument: "other"})
    for value in (-0.1, *NOT_NUMBERS):
        with refuses("alpha"):
            NeuralUCB(3, alpha=value)
    with refuses("covariance"):
        NeuralUCB(3, covariance="other")
    with refuses("covariance"):
        NeuralLinear(3, covariance="kernel")


def test_a_training_that_diverges_keeps_the_round_and_the_network():
    policy, _ = make(steps=500, step="constant", learning_rate=10.0)
    before = snapshot(policy.model)
    with pytest.raises(ValueError, match="diverged"):
        policy.update(0, [1.0, 2.0, 3.0], 1.0)
    assert snapshot(policy.model) == before
    assert policy.rounds == policy.replay.n == policy.memory.rounds == 1
    assert np.isfinite(policy.ucb(np.eye(3))).all()


def test_every_policy_here_learns():
    assert all(maker(2).learns is True for maker in MAKERS.values())


# ---------------------------------------------------------------------- somebody else's rounds


def log_of(n: int, *worlds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows (..., n, 3) and rewards (..., n)."""
    rng = np.random.default_rng(5)
    return rng.standard_normal((*worlds, n, 3)), rng.random((*worlds, n))


@pytest.mark.parametrize("covariance", FORMS)
@pytest.mark.parametrize("chunk", [4, 1_024])
def test_reading_trains_on_all_rounds_and_adds_their_gradients_afterwards(
    covariance: str, chunk: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(neuralucb, "ARMS", chunk)
    rows, rewards = log_of(9)
    plan = Schedule(steps=7, first=9, every=1_000)
    policy = NeuralUCB(3, (6,), 0.7, 0.3, covariance, schedule=plan)
    policy.read(rows, rewards, 7)
    by_rounds = NeuralUCB(3, (6,), 0.7, 0.3, covariance, schedule=plan)
    for row, reward in zip(rows, rewards, strict=True):
        by_rounds.update(0, row, reward)
    for value, expected in zip(
        policy.model.parameters(), by_rounds.model.parameters(), strict=True
    ):
        assert torch.allclose(value, expected, rtol=1e-9, atol=1e-12)
    X = np.random.default_rng(6).standard_normal((5, 3))
    squared = exploration_bonus(policy.model, X, rows, covariance, 0.3, 1 / 6)
    assert np.allclose(policy.estimates(X)[1], squared.sqrt().numpy(), rtol=1e-9, atol=1e-12)
    assert not np.allclose(policy.estimates(X)[1], by_rounds.estimates(X)[1], rtol=1e-3)
    assert policy.rounds == policy.replay.n == policy.memory.rounds == 9


def test_reading_in_many_worlds_is_reading_in_each():
    rows, rewards = log_of(12, 2)
    plan = Schedule(steps=3, batch_size=5)
    both = NeuralUCB(3, (6,), covariance="diagonal", n_worlds=2, schedule=plan)
    both.read(rows, rewards, 20)
    X = np.random.default_rng(6).standard_normal((2, 4, 3))
    for s in range(2):
        one = NeuralUCB(3, (6,), covariance="diagonal", seed=s, schedule=plan)
        one.read(rows[s], rewards[s], 20)
        assert np.allclose(one.ucb(X[s]), both.ucb(X)[s], rtol=1e-9, atol=1e-12)
        one.update(0, X[s, 0], 1.0)  # and life goes on
        assert one.rounds == 13


def test_a_log_that_cannot_be_read_is_refused():
    rows, rewards = log_of(4)
    policy = NeuralUCB(3, (6,))
    bad = rows.copy()
    bad[2, 1] = np.nan
    for wrong in (bad, rows[0], rows[:, :2], rows[:0], rows[None]):
        with refuses("contexts", policy):
            policy.read(wrong, rewards, 5)
    for wrong in (rewards[:3], rewards[:, None], [1.0, 2.0, 3.0, np.inf]):
        with refuses("rewards", policy):
            policy.read(rows, wrong, 5)
    with refuses("steps", policy):
        policy.read(rows, rewards, 0)


def test_a_log_on_which_training_diverges_is_kept_and_the_network_as_it_was():
    policy = NeuralUCB(3, (6,), schedule=Schedule(step="constant", learning_rate=100.0))
    before = [value.clone() for value in policy.model.parameters()]
    with pytest.raises(ValueError, match="diverged"):
        policy.read(*log_of(6), 500)
    assert all(torch.equal(a, b) for a, b in zip(before, policy.model.parameters(), strict=True))
    assert policy.rounds == policy.replay.n == policy.memory.rounds == 6
