"""What a neural policy does with an engineer's own data and settings: it refuses, or goes on."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from recsys.checks import PrecisionWarning
from recsys.neural import network
from recsys.neural.digits import NotHeldError
from recsys.neural.neuralucb import NeuralUCB
from recsys.neural.relatives import NeuralLinear, NeuralThompson
from recsys.neural.schedule import Schedule
from strategies import NOT_NUMBERS, refuses, snapshot

SECONDS = [1.0, 0.5, 1.7e9]
ADAM = {"optimiser": "adam", "step": "constant", "learning_rate": 0.01}
KINDS = {"ucb": NeuralUCB, "thompson": NeuralThompson, "linear": NeuralLinear}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def taught(kind: Callable[..., NeuralUCB] = NeuralUCB, **settings: object) -> NeuralUCB:
    """Return a policy on three features after four rounds."""
    plan = settings.pop("schedule", Schedule(steps=3))
    policy = kind(3, (8,), schedule=plan, **settings)
    for row in np.random.default_rng(0).standard_normal((4, 3)):
        policy.update(0, row, 1.0)
    return policy


# ---------------------------------------------------------------------- a column of seconds


@pytest.mark.parametrize("covariance", ["full", "dual", "kernel"])
@pytest.mark.parametrize("gradient_at", ["before", "after"])
@pytest.mark.parametrize("worlds", [None, 2])
def test_a_column_of_seconds_is_refused_and_the_policy_goes_on(
    covariance: str, gradient_at: str, worlds: int | None
):
    lead = () if worlds is None else (worlds,)
    policy, plain = (
        NeuralUCB(
            3,
            (8,),
            covariance=covariance,
            unit_rows=False,
            n_worlds=worlds,
            schedule=Schedule(steps=3, gradient_at=gradient_at, batch_size=2),
        )
        for _ in range(2)
    )
    rng, arm, reward = np.random.default_rng(0), np.zeros(lead, int), np.ones(lead)
    for _ in range(5):
        row = rng.standard_normal((*lead, 3))
        with refuses("context", policy):
            policy.update(arm, np.broadcast_to(SECONDS, (*lead, 3)), reward)
        for either in (policy, plain):
            either.update(arm, row, reward)
    rows = rng.standard_normal((*lead, 4, 3))
    assert np.array_equal(policy.ucb(rows), plain.ucb(rows))
    with pytest.raises(ValueError, match="standardise the features, use unit_rows=True"):
        policy.update(arm, np.broadcast_to(SECONDS, (*lead, 3)), reward)


@every_kind
def test_a_log_with_a_column_of_seconds_is_refused(kind: type[NeuralUCB]):
    policy = taught(kind, unit_rows=False)
    rows = np.ones((6, 3))
    rows[4] = SECONDS
    with refuses("contexts", policy):
        policy.read(rows, np.ones(6), 3)
    with refuses("context", policy):
        policy.update(0, SECONDS, 1.0)
    assert np.isfinite(policy.ucb(np.eye(3))).all()


def test_a_refusal_after_the_training_takes_the_training_back(monkeypatch: pytest.MonkeyPatch):
    """Z takes a gradient at the new parameters, which nobody knows before the training."""

    def full(self: object, *arguments: object) -> None:
        raise NotHeldError("factors: no room")

    late = Schedule(steps=3, gradient_at="after")
    warm = Schedule(steps=3, gradient_at="after", restart=False, batch_size=2, **ADAM)
    for policy, verb in (
        (taught(schedule=late), "take"),
        (taught(schedule=warm), "take"),
        (taught(NeuralLinear), "refill"),
    ):
        before, same = state(policy), copy.deepcopy(policy)
        with monkeypatch.context() as patch:
            patch.setattr(type(policy.memory), verb, full)
            with pytest.raises(ValueError, match=r"^context: no room"):
                policy.update(0, np.ones(3), 1.0)
            assert state(policy) == before
            with pytest.raises(ValueError, match=r"^contexts: no room"):
                policy.read(np.eye(3), np.ones(3), 2)
        if verb == "take":  # a log's rows enter a regression one by one before it is refilled
            assert state(policy) == before
        for row in np.random.default_rng(3).standard_normal((3, 3)):
            for either in (policy, same):
                either.update(0, row, 1.0)
        assert np.array_equal(policy.ucb(np.eye(3)), same.ucb(np.eye(3)))


def state(policy: NeuralUCB) -> object:
    """Return what may not change; what stands in a buffer behind its last row is nobody's."""
    replay, memory = policy.replay, policy.memory
    regression = (policy.b, policy.theta) if isinstance(policy, NeuralLinear) else ()
    known = (policy.rounds, memory.rounds, memory.state(), regression, policy.model)
    rows = (replay.rows.rows, replay.rewards.rows, replay.steps, replay.moments, replay.batches)
    return snapshot((known, rows, policy.rng))


@pytest.mark.parametrize("covariance", ["full", "dual", "kernel"])
def test_a_long_row_warns_once_and_the_round_is_complete(covariance: str):
    never = Schedule(first=100)
    policy = taught(covariance=covariance, unit_rows=False, schedule=never)
    with pytest.warns(PrecisionWarning, match="standardise the features"):
        policy.update(0, [1.0, 2.0, 1e5], 1.0)
    assert policy.rounds == policy.replay.n == policy.memory.rounds == 5
    policy.update(0, [1.0, 2.0, 1e5], 1.0)  # it was said
    assert np.isfinite(policy.ucb(np.eye(3))).all()


# ---------------------------------------------------------------------- the order of arguments


@every_kind
def test_arguments_in_the_order_of_linucb_are_refused_with_the_right_order(kind: type[NeuralUCB]):
    for arguments in ((50, 9), (50, 9, 0.1), (50, 9, 1.0, 1.0)):
        with pytest.raises(ValueError, match=r"^hidden: got 9.*n_features, hidden.*n_arms goes by"):
            kind(*arguments)
    with pytest.raises(ValueError, match=r"^hidden: got 64, .*such as \(64,\)"):
        network.score_network(9, 64)


# ---------------------------------------------------------------------- settings


@every_kind
def test_a_greedy_policy_cannot_explore_later(kind: type[NeuralUCB]):
    if kind is NeuralLinear:  # it keeps its regression in any case
        policy = taught(kind, alpha=0.0)
        policy.alpha = 0.5
        mean, width = policy.estimates(np.eye(3))
        assert np.allclose(policy.ucb(np.eye(3)), mean + 0.5 * width)
        assert (width > 0).all()
        return
    policy = taught(kind, alpha=0.0)
    policy.alpha = 0.5
    for call in (policy.select, policy.ucb, policy.estimates, policy.probabilities):
        with refuses("alpha", policy):
            call(np.eye(3))
    with refuses("alpha", policy):
        policy.update(0, np.ones(3), 1.0)
    with refuses("alpha", policy):
        policy.read(np.eye(3), np.ones(3), 2)
    policy.alpha = 0.0
    assert policy.select(np.eye(3)) in (0, 1, 2)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@every_kind
def test_a_network_that_is_not_finite_is_refused(kind: type[NeuralUCB], alpha: float):
    policy = taught(kind, alpha=alpha, schedule=Schedule(steps=2, restart=False))
    with torch.no_grad():
        next(iter(policy.model.parameters())).fill_(np.nan)
    for call in (policy.ucb, policy.select, policy.estimates):
        with refuses("model", policy):
            call(np.eye(3))
    with refuses("model", policy):
        policy.update(0, np.ones(3), 1.0)


@every_kind
def test_another_schedule_is_checked_and_followed(kind: type[NeuralUCB]):
    policy = taught(kind)
    for wrong in (None, "often", 5, {"every": 2}):
        with refuses("schedule", policy):
            policy.schedule = wrong
        if wrong is not None:
            with refuses("schedule"):
                kind(3, schedule=wrong)
    policy.schedule = Schedule(steps=3, first=100)
    model = snapshot(policy.model)
    policy.update(0, np.ones(3), 1.0)
    assert snapshot(policy.model) == model
    policy.schedule = plan = Schedule(steps=2)
    assert policy.replay.schedule is plan
    policy.update(0, np.ones(3), 1.0)
    assert snapshot(policy.model) != model
    if kind is NeuralLinear:
        with refuses("schedule", policy):
            policy.schedule = Schedule(replay="trained")


def test_settings_that_are_not_meant_are_refused():
    for name in ("bias", "unit_rows"):
        for wrong in ("False", 0, 1, None, 2.0):
            with refuses(name):
                NeuralUCB(3, (4,), **{name: wrong})
            with refuses(name):
                network.score_network(3, (4,), **{name: wrong})
    for wrong in ("gpu", 1.5, "cuda:77"):
        with refuses("device"):
            NeuralUCB(3, (4,), device=wrong)
    for wrong in (1e31, 1e300):
        with refuses("ridge"):
            NeuralUCB(3, (4,), ridge=wrong)


# ---------------------------------------------------------------------- copies


@every_kind
@pytest.mark.parametrize("plan", [{}, ADAM, {**ADAM, "restart": False, "batch_size": 2}])
def test_a_copy_goes_on_as_the_policy_does(kind: type[NeuralUCB], plan: dict, tmp_path: Path):
    policy = taught(kind, schedule=Schedule(steps=3, **plan))
    policy.save(tmp_path / "policy")
    copies = [
        copy.deepcopy(policy),
        pickle.loads(pickle.dumps(policy)),
        type(policy).load(tmp_path / "policy"),
    ]
    rng = np.random.default_rng(1)
    for row in rng.standard_normal((4, 3)):
        for each in (policy, *copies):
            each.update(0, row, 2.0)
    for each in copies:
        assert np.array_equal(each.ucb(np.eye(3)), policy.ucb(np.eye(3)))


def test_a_policy_on_disk_keeps_its_settings_of_now_as_plain_numbers(tmp_path: Path):
    plan = Schedule(
        steps=np.int64(3),
        learning_rate=np.float32(0.5),
        until=np.int64(4),
        then=np.int64(3),
        last=20,
        tolerance=np.float64(0.25),
    )
    policy = NeuralUCB(
        np.int64(3),
        (np.int64(8),),
        n_arms=np.int64(5),
        seed=np.int64(2),
        bias=np.True_,
        device=torch.device("cpu"),
        schedule=plan,
    )
    policy.alpha = 0.25
    policy.save(tmp_path / "policy")
    again = NeuralUCB.load(tmp_path / "policy")
    assert again.alpha == 0.25
    assert again.schedule == plan
    assert (again.n_arms, again.settings) == (5, policy.settings)
    NeuralUCB(3, (8,), n_worlds=np.int64(2)).save(tmp_path / "policy")
    assert NeuralUCB.load(tmp_path / "policy").n_worlds == 2


# ---------------------------------------------------------------------- schedules


def test_a_schedule_of_two_spans_and_an_end():
    plan = Schedule(every=1, until=5, then=3, last=12)
    assert [t for t in range(1, 20) if plan.due(t)] == [1, 2, 3, 4, 5, 8, 11]
    plan = Schedule(every=4, first=2, until=10, then=100)
    assert [t for t in range(1, 400) if plan.due(t)] == [2, 6, 10, 110, 210, 310]
    assert [t for t in range(1, 9) if Schedule(every=2, last=6).due(t)] == [1, 3, 5]


def test_spans_and_tolerances_that_mean_nothing_are_refused():
    for name, wrong in (("until", {"then": 3}), ("then", {"until": 3})):
        with refuses(name):
            Schedule(**wrong)
    for name in ("until", "then", "last", "tolerance"):
        for value in (-1, *(v for v in NOT_NUMBERS if v is not None)):
            with refuses(name):
                Schedule(**{"until": 5, "then": 5, name: value})
    with refuses("until"):
        Schedule(first=5, until=4, then=2)
    with refuses("last"):
        Schedule(first=5, last=4)
    with refuses("tolerance"):
        Schedule(tolerance=1.5)
    with refuses("tolerance"):
        NeuralUCB(3, (4,), n_worlds=2, schedule=Schedule(tolerance=0.1))


def objective(policy: NeuralUCB) -> float:
    """Return Σ (f - r)²/2 + mλ ‖θ - θ₀‖²/2 by hand."""
    replay = policy.replay
    rows, rewards = replay.rows.rows, replay.rewards.rows[:, 0]
    scores = torch.nn.Sequential(*list(policy.model)[2:])(rows)[:, 0]
    away = zip(policy.model.parameters(), replay.initial, strict=True)
    pull = sum(float((value - start).square().sum()) for value, start in away)
    return float((scores - rewards).square().sum()) / 2 + 8 * policy.ridge * pull / 2


@pytest.mark.parametrize("tolerance", [0.3, 0.02, 1e-4])
def test_a_training_ends_when_the_objective_falls_by_no_more_than_the_tolerance(tolerance: float):
    policy = taught(schedule=Schedule(steps=400, first=100))
    values = []
    for steps in range(1, 200):
        policy.replay.train(policy.model, steps)
        values.append(objective(policy))
    falls = 1 - np.array(values[1:]) / values[:-1]
    expected = int(np.argmax(falls <= tolerance)) + 2
    assert falls[: expected - 2].min(initial=1.0) > tolerance
    policy.schedule = Schedule(steps=400, first=100, tolerance=tolerance)
    taken = policy.replay.train(policy.model)
    start = policy.replay.train(policy.model, 1)
    assert start == 1
    assert taken in (1, expected)
    assert taken == expected or tolerance == 0.3
    policy.schedule = Schedule(steps=400, first=100)
    assert policy.replay.train(policy.model) == 400


def test_with_batches_the_objective_is_looked_at_once_a_pass():
    policy = taught(schedule=Schedule(steps=100, first=100, batch_size=1, tolerance=0.999))
    assert policy.replay.train(policy.model) == 4  # rounds of one pass


def test_parameters_of_a_training_that_overflow_later_have_diverged():
    plan = Schedule(step="constant", learning_rate=30.0, steps=26, first=5)
    policy = NeuralUCB(3, (8,), schedule=plan)
    rng = np.random.default_rng(0)
    for row in rng.standard_normal((4, 3)):
        policy.update(0, row, 1.0)
    for steps in range(1, 40):
        policy.schedule = Schedule(step="constant", learning_rate=30.0, steps=steps, first=100)
        try:
            policy.replay.train(policy.model)
        except ValueError as error:
            assert "diverged" in str(error)
        assert np.isfinite(policy.ucb(np.eye(3))).all()
