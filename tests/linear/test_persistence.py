from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recsys import archive
from recsys.linear import (
    DiscountedLinUCB,
    LinearThompson,
    LinUCB,
    NormalInverseGammaThompson,
    SharedLinUCB,
    SlidingWindowLinUCB,
)
from strategies import refuses, snapshot

K, D = 6, 3
MAKERS: dict[str, Callable[..., LinUCB]] = {
    "linucb": LinUCB,
    "discounted": lambda *a, **k: DiscountedLinUCB(*a, gamma=0.9, **k),
    "window": lambda *a, **k: SlidingWindowLinUCB(*a, window=7, **k),
    "shared": SharedLinUCB,
    "shared discounted": lambda *a, **k: SharedLinUCB(*a, gamma=0.9, **k),
    "shared window": lambda *a, **k: SharedLinUCB(*a, window=7, **k),
    "thompson": LinearThompson,
    "unknown noise": lambda *a, **k: NormalInverseGammaThompson(*a, shape=2.0, scale=0.3, **k),
}
every_policy = pytest.mark.parametrize("name", MAKERS)
disjoint = pytest.mark.parametrize("name", [name for name in MAKERS if "shared" not in name])
in_worlds = pytest.mark.parametrize("worlds", [None, 2])


def make(name: str, worlds: int | None = None, arms: int = K, d: int = D) -> LinUCB:
    return MAKERS[name](
        arms, d, alpha=0.7, ridge=0.4, n_worlds=worlds, rng=np.random.default_rng(5)
    )


def play(policy: LinUCB, n: int, seed: int) -> list[np.ndarray | int]:
    """Return the arms that the policy chose in n rounds, each of which taught it."""
    rng, shown = np.random.default_rng(seed), []
    lead = policy.worlds
    for _ in range(n):
        rows = rng.standard_normal((*lead, policy.n_arms, policy.n_features))
        arm = policy.select(rows)
        played = np.take_along_axis(rows, np.asarray(arm)[..., None, None], axis=-2)[..., 0, :]
        policy.update(arm, played, rng.standard_normal(lead))
        shown.append(arm)
    return shown


def known(policy: LinUCB) -> object:
    """Return all that a policy knows, in a form to compare."""
    own = [getattr(policy, name) for name in policy.arrays]
    return snapshot([policy._settings(), policy.memory.state(), own, policy.rng])


# ---------------------------------------------------------------------- on disk


@every_policy
@in_worlds
def test_a_saved_policy_goes_on_as_if_nothing_had_happened(
    name: str, worlds: int | None, tmp_path: Path
):
    policy = make(name, worlds)
    play(policy, 40, seed=1)
    policy.save(tmp_path / "state")
    again = type(policy).load(tmp_path / "state")
    assert known(again) == known(policy)
    assert snapshot(play(again, 40, seed=2)) == snapshot(play(policy, 40, seed=2))
    assert known(again) == known(policy)


def test_a_large_catalogue_is_saved_to_the_last_bit(tmp_path: Path):
    policy, rng = LinUCB(400, 32), np.random.default_rng(0)
    for _ in range(900):  # some arms get more rows than are kept as corrections
        policy.update(int(rng.integers(40)), rng.standard_normal(32), rng.standard_normal())
    policy.save(tmp_path / "state")
    again, rows = LinUCB.load(tmp_path / "state"), rng.standard_normal((400, 32))
    assert np.array_equal(again.ucb(rows), policy.ucb(rows))
    for one in (policy, again):
        play(one, 50, seed=3)
    assert np.array_equal(again.ucb(rows), policy.ucb(rows))
    assert (tmp_path / "state").stat().st_size < 3 * policy.memory._inverse.nbytes


def test_a_file_of_another_kind_is_refused(tmp_path: Path):
    LinUCB(3, 2).save(tmp_path / "linucb")
    with refuses("path"):
        DiscountedLinUCB.load(tmp_path / "linucb")
    archive.save(tmp_path / "other", {"n": 1}, {})
    with refuses("path"):
        LinUCB.load(tmp_path / "other")


def test_a_state_of_other_sizes_is_refused():
    memory = make("window").memory
    with refuses("state", memory):
        memory.restore(make("window", arms=K + 1).memory.state())
    with refuses("state", memory):
        memory.restore(make("linucb").memory.state())


# ---------------------------------------------------------------------- a log at once


@every_policy
@in_worlds
def test_a_log_read_at_once_teaches_what_its_rounds_teach(name: str, worlds: int | None):
    rng, lead = np.random.default_rng(0), () if worlds is None else (worlds,)
    rows, rewards = rng.standard_normal((*lead, 30, D)), rng.standard_normal((*lead, 30))
    arms = rng.integers(0, K, (*lead, 30))
    at_once, one_by_one = make(name, worlds), make(name, worlds)
    at_once.read(rows, rewards, arms)
    for t in range(30):
        one_by_one.update(arms[..., t], rows[..., t, :], rewards[..., t])
    asked = rng.standard_normal((*lead, K, D))
    assert np.allclose(at_once.ucb(asked), one_by_one.ucb(asked), rtol=1e-9)


def test_a_shared_model_needs_no_arms():
    rng = np.random.default_rng(0)
    rows, rewards = rng.standard_normal((30, D)), rng.standard_normal(30)
    named, unnamed = make("shared"), make("shared")
    named.read(rows, rewards, rng.integers(0, K, 30))
    unnamed.read(rows, rewards)
    assert np.array_equal(named.theta, unnamed.theta)


@every_policy
@in_worlds
def test_a_log_that_does_not_fit_is_refused(name: str, worlds: int | None):
    policy, lead = make(name, worlds), () if worlds is None else (worlds,)
    play(policy, 9, seed=1)
    rows, rewards = np.ones((*lead, 8, D)), np.ones((*lead, 8))
    arms = np.zeros((*lead, 8), dtype=int)
    for bad in (rows[..., :0, :], rows[..., :2], rows[..., 0, :], np.nan * rows, 1e101 * rows, 1.0):
        with refuses("contexts", policy):
            policy.read(bad, rewards, arms)
    for bad in (rewards[..., :7], np.inf * rewards, 1.0, None, "r"):
        with refuses("rewards", policy):
            policy.read(rows, bad, arms)
    for bad in (arms[..., :7], arms + K, arms - 1, arms + 0.5, 0, "a"):
        with refuses("arms", policy):
            policy.read(rows, rewards, bad)
    if "shared" not in name:
        with refuses("arms", policy):
            policy.read(rows, rewards)


# ---------------------------------------------------------------------- new arms


@every_policy
@in_worlds
def test_new_arms_know_nothing_and_the_others_all_they_knew(name: str, worlds: int | None):
    policy, larger = make(name, worlds), make(name, worlds, arms=K + 2)
    play(policy, 40, seed=1)
    rng = np.random.default_rng(3)
    asked = rng.standard_normal((*policy.worlds, K + 2, D))
    old, start = policy.ucb(asked[..., :K, :]), larger.ucb(asked)
    policy.add_arms(2)
    assert policy.n_arms == K + 2
    now = policy.ucb(asked)
    assert np.allclose(now[..., :K], old, rtol=1e-12)
    if "shared" not in name:
        assert np.allclose(now[..., K:], start[..., K:], rtol=1e-12)
        assert policy.memory.shape == larger.memory.shape


@every_policy
@in_worlds
def test_a_policy_with_new_arms_learns_like_one_that_had_them(name: str, worlds: int | None):
    grown, larger = make(name, worlds), make(name, worlds, arms=K + 2)
    rng, lead = np.random.default_rng(4), () if worlds is None else (worlds,)
    for t in range(60):
        if t == 30:
            grown.add_arms(2)
        arm = rng.integers(0, K + 2 * (t >= 30), lead)
        row, reward = rng.standard_normal((*lead, D)), rng.standard_normal(lead)
        grown.update(arm, row, reward)
        larger.update(arm, row, reward)
    asked = rng.standard_normal((*lead, K + 2, D))
    assert np.allclose(grown.ucb(asked), larger.ucb(asked), rtol=1e-9)


def test_a_catalogue_that_grows_large_is_read_quickly_and_rightly():
    policy, rng = LinUCB(200, 32, alpha=0.5), np.random.default_rng(0)
    for _ in range(300):
        policy.update(int(rng.integers(50)), rng.standard_normal(32), rng.standard_normal())
    rows = rng.standard_normal((260, 32))
    before = policy.ucb(rows[:200])
    policy.add_arms(60)
    assert type(policy.memory._widths) is not type(LinUCB(200, 32).memory._widths)
    assert np.allclose(policy.ucb(rows)[:200], before, rtol=1e-10)


@every_policy
def test_a_number_of_arms_that_is_none_is_refused(name: str):
    policy = make(name)
    for bad in (0, -1, 1.5, True, "2", None):
        with refuses("n", policy):
            policy.add_arms(bad)


# ---------------------------------------------------------------------- settings


@every_policy
def test_settings_are_checked_whenever_they_are_set(name: str):
    policy = make(name)
    policy.alpha = np.float64(0.2)
    assert policy.alpha == 0.2
    for bad in (-1.0, np.nan, "1", None, True):
        with refuses("alpha", policy):
            policy.alpha = bad
    for bad in (0, 7, np.random.RandomState(0), "rng"):
        with refuses("rng", policy):
            policy.rng = bad
    for fixed in ("n_arms", "n_features", "n_worlds", "memory"):
        before = snapshot(policy)
        with pytest.raises(ValueError, match=fixed):
            setattr(policy, fixed, 3)
        assert snapshot(policy) == before
    for fixed in ("ridge", "n_features", *policy.memory.forgetting):
        with pytest.raises(ValueError, match=fixed):
            setattr(policy.memory, fixed, 3)


def test_one_way_to_forget_is_enough():
    with refuses("window"):
        SharedLinUCB(3, 2, gamma=0.9, window=10)
    for bad in (0.0, 1.5, "g"):
        with refuses("gamma"):
            SharedLinUCB(3, 2, gamma=bad)
    for bad in (0, 2.5, "w"):
        with refuses("window"):
            SharedLinUCB(3, 2, window=bad)
