import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from recsys.linear import LinUCB
from recsys.neural import NeuralUCB
from recsys.policies import exploration
from recsys.policies.base import Policy, ScoringPolicy, argmax_random_ties
from recsys.policies.exploration import EpsilonGreedy, chances_to_win
from recsys.policies.late import LateFeedback
from recsys.policies.simple import MostPopular, Oracle, RandomPolicy
from strategies import ByContext, modest, refuses, small_shop, snapshot

MAKERS: dict[str, Callable[[int, int | None], object]] = {
    "random": lambda k, s: RandomPolicy(k, s, np.random.default_rng(1)),
    "oracle": lambda k, s: Oracle(k, s, np.random.default_rng(1)),
    "popular": lambda k, s: MostPopular(k, s, np.random.default_rng(1)),
    "context": lambda k, s: ByContext(k, s, np.random.default_rng(1)),
    "epsilon": lambda k, s: EpsilonGreedy(
        ByContext(k, s, np.random.default_rng(1)), 0.3, np.random.default_rng(2)
    ),
    "epsilon-popular": lambda k, s: EpsilonGreedy(
        MostPopular(k, s, np.random.default_rng(1)), 0.3, np.random.default_rng(2)
    ),
}
every_policy = pytest.mark.parametrize("name", MAKERS)


class ByAnyNumber(ByContext):
    """Has nothing to keep for an arm, and wants a row for each."""

    counts_arms = shares_rows = False


def frequencies(arms: np.ndarray, k: int) -> np.ndarray:
    return np.bincount(arms, minlength=k)


# ---------------------------------------------------------------------- ties


@modest
@given(
    scores=hnp.arrays(
        float,
        hnp.array_shapes(min_dims=1, max_dims=3, max_side=4),
        elements=st.sampled_from([-np.inf, -1e-300, 0.0, 0.5, 0.5 + 1e-16, 1.0]),
    ).filter(lambda a: (a.max(axis=-1) > -np.inf).all()),
    seed=st.integers(0, 9),
)
def test_the_winner_always_has_the_largest_score(scores: np.ndarray, seed: int):
    arms = argmax_random_ties(scores, np.random.default_rng(seed))
    for place in np.ndindex(scores.shape[:-1]):
        row = scores[place].tolist()
        assert row[arms[place]] == max(row)


def test_ties_are_broken_uniformly_and_independently_in_every_row():
    scores = np.tile([0.0, 2.0, 2.0, -np.inf, 2.0], (30_000, 1))
    arms = argmax_random_ties(scores, np.random.default_rng(0))
    counts = frequencies(arms, 5)
    assert counts[0] == counts[3] == 0
    assert stats.chisquare(counts[[1, 2, 4]]).pvalue > 1e-3
    pairs = np.bincount(5 * arms[:-1] + arms[1:], minlength=25).reshape(5, 5)
    assert stats.chi2_contingency(pairs[np.ix_([1, 2, 4], [1, 2, 4])]).pvalue > 1e-3


def test_ties_are_broken_anew_by_select_and_by_the_policys_own_generator():
    def play(seed: int) -> list[int]:
        policy = RandomPolicy(6, rng=np.random.default_rng(seed))
        return [policy.select(np.zeros((6, 1))) for _ in range(200)]

    assert play(0) == play(0)
    assert play(0) != play(1)
    assert stats.chisquare(frequencies(np.array(play(0)), 6)).pvalue > 1e-3


# ---------------------------------------------------------------------- probabilities and select


CONTEXTS = np.array([[0.3], [0.9], [0.9], [0.1], [0.9]])  # three arms tie
ON_SALE = np.array([True, True, False, True, True])


@every_policy
@pytest.mark.parametrize("available", [None, ON_SALE, ~ON_SALE])
def test_select_draws_each_arm_with_its_stated_probability(name: str, available: np.ndarray | None):
    policy, n = MAKERS[name](5, None), 20_000
    stated = policy.probabilities(CONTEXTS, available)
    assert stated.shape == (5,)
    assert stated.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.array_equal(policy.probabilities(np.tile(CONTEXTS, (3, 1, 1)), available)[2], stated)
    counts = frequencies(policy.select(np.tile(CONTEXTS, (n, 1, 1)), available), 5)
    possible = stated > 0
    assert (counts[~possible] == 0).all()
    if possible.sum() > 1:
        assert stats.chisquare(counts[possible], n * stated[possible]).pvalue > 1e-3


@every_policy
def test_every_world_has_its_own_probabilities(name: str):
    policy, n = MAKERS[name](4, 3), 3_000
    if name != "random":  # a click or two, so that worlds differ where a policy learns
        for arm in ([0, 1, 2], [0, 1, 3]):
            policy.update(np.array(arm), np.zeros((3, 1)), np.array([1.0, 0.0, 1.0]))
    contexts = np.array([[0.5, 0.5, 0.1, 0.0], [0.2, 0.9, 0.9, 0.9], [1.0, 0.0, 0.0, 1.0]])[
        ..., None
    ]
    mask = np.array([[1, 1, 1, 0], [1, 1, 0, 1], [0, 1, 1, 1]], dtype=bool)
    stated = policy.probabilities(contexts, mask)
    assert stated.shape == (3, 4)
    assert (stated[~mask] == 0).all()
    assert np.allclose(stated.sum(axis=-1), 1.0, rtol=0, atol=1e-12)
    shown = np.array([policy.select(contexts, mask) for _ in range(n)])  # (n, 3)
    for world in range(3):
        counts, possible = frequencies(shown[:, world], 4), stated[world] > 0
        assert (counts[~possible] == 0).all()
        if possible.sum() > 1:
            assert stats.chisquare(counts[possible], n * stated[world, possible]).pvalue > 1e-3


@every_policy
def test_what_an_experiment_asks_of_a_policy_is_public(name: str):
    policy = MAKERS[name](4, None)
    asked = set(Policy.__annotations__) | {n for n in vars(Policy) if n[0] != "_"}
    assert asked == {"learns", "rng", "select", "probabilities", "update"}
    assert all(hasattr(policy, name) for name in asked)
    assert isinstance(policy.rng, np.random.Generator)
    before = policy.rng.bit_generator.state
    policy.probabilities(np.zeros((4, 1)))  # all tie, and no draw is needed to say so
    assert policy.rng.bit_generator.state == before


def test_a_policy_that_counts_its_arms_must_know_their_number():
    assert ByAnyNumber(None).select([[0.1], [0.7], [0.3]]) == 1
    assert ByAnyNumber(None).select([[0.1], [0.7]]) == 1
    assert ByAnyNumber(2).select([[0.1], [0.7]]) == 1
    for policy, shape in (
        (ByAnyNumber(None), (0, 1)),
        (ByAnyNumber(None), (1,)),
        (ByAnyNumber(2), (3, 1)),
        (ByAnyNumber(None, 2), (3, 4, 1)),
        (ByAnyNumber(None, 2), (2, 1)),
    ):
        with refuses("contexts", policy):
            policy.select(np.zeros(shape))
    for arm in (-1, 0.5, 2**63):
        with refuses("arm"):
            ByAnyNumber(None).update(arm, [0.0], 1.0)
    ByAnyNumber(None).update(2**62, [0.0], 1.0)
    with refuses("n_arms"):
        ByContext(None)


@pytest.mark.parametrize(
    ("name", "available", "expected"),
    [
        ("random", None, [0.2, 0.2, 0.2, 0.2, 0.2]),
        ("random", ON_SALE, [0.25, 0.25, 0, 0.25, 0.25]),
        ("oracle", None, [0, 1 / 3, 1 / 3, 0, 1 / 3]),
        ("oracle", ON_SALE, [0, 0.5, 0, 0, 0.5]),
        ("context", ~ON_SALE, [0, 0, 1, 0, 0]),
        ("epsilon", None, [0.06, 0.06 + 0.7 / 3, 0.06 + 0.7 / 3, 0.06, 0.06 + 0.7 / 3]),
        ("epsilon", ON_SALE, [0.075, 0.425, 0, 0.075, 0.425]),
        ("epsilon", ~ON_SALE, [0, 0, 1, 0, 0]),
    ],
)
def test_probabilities_are_those_worked_out_by_hand(
    name: str, available: np.ndarray | None, expected: list[float]
):
    assert np.allclose(MAKERS[name](5, None).probabilities(CONTEXTS, available), expected)


@modest
@given(data=st.data(), k=st.integers(1, 6), n=st.integers(1, 5))
def test_an_arm_off_sale_is_never_chosen(data: st.DataObject, k: int, n: int):
    mask = data.draw(hnp.arrays(bool, (n, k)).filter(lambda m: m.any(axis=1).all()))
    contexts = data.draw(hnp.arrays(float, (n, k, 1), elements=st.sampled_from([0.0, 0.5, 1.0])))
    for make in MAKERS.values():
        policy = make(k, None)
        arms = policy.select(contexts, mask)
        assert mask[np.arange(n), arms].all()
        assert (policy.probabilities(contexts, mask)[~mask] == 0).all()


@modest
@given(
    contexts=hnp.arrays(
        float, st.tuples(st.integers(1, 4), st.integers(1, 5), st.just(2)), elements=st.floats(0, 1)
    )
)
def test_the_oracle_takes_the_largest_click_probability(contexts: np.ndarray):
    arms = Oracle(contexts.shape[1]).select(contexts)
    for row, arm in zip(contexts, arms, strict=True):
        assert row[arm, 0] == max(row[:, 0])


def test_select_returns_an_int_for_one_visit_and_an_array_for_many():
    for make in MAKERS.values():
        assert type(make(5, None).select(CONTEXTS)) is int
        many = make(5, None).select(np.tile(CONTEXTS, (2, 3, 1, 1)))
        assert many.shape == (2, 3)
        worlds = make(5, 4).select(np.tile(CONTEXTS, (4, 1, 1)))
        assert worlds.shape == (4,)


def test_one_row_may_be_shared_by_all_arms():
    for name in ("random", "popular", "epsilon-popular"):
        assert MAKERS[name](5, None).select(np.ones(3)) in range(5)
        assert MAKERS[name](5, 2).select(np.ones((2, 3))).shape == (2,)


@pytest.mark.parametrize("n", [1, 3, 5, 7])  # 5 visits to 5 arms among them
def test_a_batch_of_shared_rows_has_one_meaning_whatever_its_length(n: int):
    rows = np.random.default_rng(0).standard_normal((n, 1, 3))
    for name in ("random", "popular", "epsilon", "epsilon-popular"):
        policy = MAKERS[name](5, None)
        chances = policy.probabilities(rows)
        assert chances.shape == (n, 5) and policy.select(rows).shape == (n,)
        for row, chance in zip(rows, chances, strict=True):
            assert np.array_equal(policy.probabilities(row), chance)
            assert np.array_equal(policy.probabilities(row[0]), chance)
        two = MAKERS[name](5, 2)
        assert two.select(np.stack([rows, rows], axis=1)).shape == (n, 2)
        if n not in (1, 5):  # one row is one visit, five are a row for each arm
            with refuses("contexts", policy):
                policy.select(rows[:, 0])
            with pytest.raises(ValueError, match=r"\('n', 1, 3\)|\('n', 1, 'd'\) for n visits"):
                policy.select(rows[:, 0])


def test_settings_are_checked_when_they_are_given_and_whenever_they_are_set():
    policy = EpsilonGreedy(MostPopular(5), 0.3)
    late = LateFeedback(policy, 3)
    for bad in (0, 7, "rng", np.random.RandomState(0), np.random.SeedSequence(1)):
        for make in (
            lambda rng: RandomPolicy(5, rng=rng),
            lambda rng: MostPopular(5, rng=rng),
            lambda rng: EpsilonGreedy(MostPopular(5), 0.1, rng),
            lambda rng: LinUCB(5, 3, rng=rng),
            lambda rng: NeuralUCB(3, (4,), rng=rng),
        ):
            with refuses("rng"):
                make(bad)
        with refuses("rng", policy):
            policy.rng = bad
        with refuses("rng", policy):
            policy.policy.rng = bad
    for bad in (-0.1, 1.1, np.nan, "0.3", None):
        with refuses("epsilon", policy):
            policy.epsilon = bad
    for bad in (0, 2.5, "3", None):
        with refuses("batch", late):
            late.batch = bad
    with pytest.raises(ValueError, match="n_arms"):
        policy.policy.n_arms = 7
    policy.epsilon, late.batch = 0.5, 1
    late.update(2, np.ones(3), 1.0)
    assert policy.policy.clicks[2] == 3.0


@pytest.mark.parametrize("worlds", [None, 2])
def test_a_policy_with_new_arms_is_one_that_had_them(worlds: int | None):
    lead = () if worlds is None else (worlds,)
    row = np.ones((*lead, 3))
    for name in ("random", "popular", "epsilon-popular"):
        grown, larger = MAKERS[name](5, worlds), MAKERS[name](7, worlds)
        for policy in (grown, larger):
            policy.update(np.full(lead, 3), row, np.ones(lead))
        grown.add_arms(2)
        for policy in (grown, larger):
            policy.update(np.full(lead, 6), row, np.ones(lead))
        assert np.array_equal(grown.probabilities(row), larger.probabilities(row))
        assert snapshot(grown) == snapshot(larger)
    for bad in (0, -1, 1.5, "2", None):
        with refuses("n", grown):
            grown.add_arms(bad)
    with refuses("n"):
        ByAnyNumber(None).add_arms(2)


# ---------------------------------------------------------------------- chances to win


def many_draws(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return means and spreads of n arms; some draws are all but sure."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(n), np.exp(rng.standard_normal(n) - 1) * (rng.random(n) < 0.8)


def test_very_many_arms_take_chances_that_their_draws_bear_out():
    mean, spread = many_draws(2_000)
    chances, rng = chances_to_win(mean, spread), np.random.default_rng(1)
    wins = np.zeros(2_000)
    for _ in range(40):
        draws = mean + spread * rng.standard_normal((500, 2_000))
        wins += np.bincount(draws.argmax(axis=1), minlength=2_000)
    expected = 20_000 * chances
    often = expected > 5
    found = np.append(wins[often], wins[~often].sum())
    expected = np.append(expected[often], expected[~often].sum())
    assert stats.chisquare(found, expected).pvalue > 1e-3


def test_chances_to_win_need_memory_in_proportion_to_the_arms():
    """All pairs of 4,000 arms and their 57 quantiles would be 7 GB in one array."""
    peaks = []
    for n in (2_000, 4_000):
        tracemalloc.start()
        chances_to_win(*many_draws(n))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2.5 * peaks[0] < 2**27


@pytest.mark.parametrize("freedom", [None, 3.0])
def test_leaving_out_points_changes_no_chance(
    freedom: float | None, monkeypatch: pytest.MonkeyPatch
):
    mean, spread = many_draws(200)
    degrees = None if freedom is None else np.full(200, freedom)
    few = chances_to_win(mean, spread, degrees)
    monkeypatch.setattr(exploration, "POINTS", 10**6)
    assert np.abs(few - chances_to_win(mean, spread, degrees)).max() < 1e-4


def test_chances_of_students_draws_are_their_frequencies():
    rng = np.random.default_rng(2)
    mean, spread, freedom = rng.standard_normal(6), rng.uniform(0.3, 2, 6), np.arange(2.0, 8.0)
    draws = mean + spread * rng.standard_t(freedom, size=(100_000, 6))
    wins = np.bincount(draws.argmax(axis=1), minlength=6) / 100_000
    assert np.abs(wins - chances_to_win(mean, spread, freedom)).max() < 6e-3
    normal = chances_to_win(mean, spread, np.full(6, 1e7))
    assert np.allclose(normal, chances_to_win(mean, spread), atol=1e-5)


def test_epsilon_zero_is_the_wrapped_policy_and_epsilon_one_is_uniform():
    tiled = np.tile([[0.1], [0.8], [0.5]], (6_000, 1, 1))
    never = EpsilonGreedy(ByContext(3), 0.0)
    assert (never.select(tiled) == 1).all()
    always = EpsilonGreedy(ByContext(3), 1.0)
    assert stats.chisquare(frequencies(always.select(tiled), 3)).pvalue > 1e-3


def test_whether_a_policy_learns_is_known_to_who_plays_it():
    assert not RandomPolicy(3).learns
    assert not Oracle(3).learns
    assert MostPopular(3).learns
    assert EpsilonGreedy(MostPopular(3), 0.1).learns
    assert not EpsilonGreedy(Oracle(3), 0.1).learns


# ---------------------------------------------------------------------- learning


@modest
@given(
    plays=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.0, 1.0])), max_size=30),
    prior=st.tuples(st.floats(0, 5), st.floats(5, 60)),
    wrapped=st.booleans(),
)
def test_most_popular_counts_every_click_for_the_arm_that_was_shown(
    plays: list[tuple[int, float]], prior: tuple[float, float], wrapped: bool
):
    popular = MostPopular(4, prior_clicks=prior[0], prior_impressions=prior[1])
    policy = EpsilonGreedy(popular, 0.5) if wrapped else popular
    for arm, reward in plays:
        policy.update(arm, np.zeros(2), reward)
    rates = [
        (prior[0] + sum(r for a, r in plays if a == arm))
        / (prior[1] + sum(a == arm for a, _ in plays))
        for arm in range(4)
    ]
    assert np.allclose(popular.scores(np.zeros((4, 2))), rates, rtol=1e-12)
    offered = policy.probabilities(np.zeros((4, 2)))
    assert offered.argmax() in np.flatnonzero(np.isclose(rates, max(rates), rtol=1e-12))


@modest
@given(
    plays=st.lists(
        st.tuples(
            st.lists(st.integers(0, 3), min_size=3, max_size=3),
            st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3),
        ),
        max_size=12,
    )
)
def test_most_popular_in_many_worlds_is_one_policy_in_each(plays: list):
    together, alone = MostPopular(4, 3), [MostPopular(4) for _ in range(3)]
    for arms, rewards in plays:
        together.update(arms, np.zeros((3, 2)), rewards)
        for policy, arm, reward in zip(alone, arms, rewards, strict=True):
            policy.update(arm, np.zeros(2), reward)
    scores = together.scores(np.zeros((3, 4, 2)))
    assert np.array_equal(scores, [p.scores(np.zeros((4, 2))) for p in alone])


def test_most_popular_reads_a_log_as_it_would_have_lived_through_it():
    shop = small_shop(1)
    log = shop.log(800)
    lived = MostPopular(12)
    for product, click in zip(log.products, log.clicks, strict=True):
        lived.update(int(product), np.zeros(1), float(click))
    read = MostPopular.from_log(log, 12)
    assert np.allclose(read.scores(np.zeros(1)), lived.scores(np.zeros(1)), rtol=1e-12)


def test_a_bestseller_list_read_from_a_log_stands_still_unless_told_to_learn():
    log = small_shop(1).log(500)
    fixed, learning = (MostPopular.from_log(log, 12, learns=learns) for learns in (False, True))
    assert not MostPopular.from_log(log, 12).learns
    before = fixed.scores(np.zeros(1)).copy()
    for policy in (fixed, learning):
        policy.update(3, np.zeros(1), 1.0)
    assert np.array_equal(fixed.scores(np.zeros(1)), before)
    assert learning.scores(np.zeros(1))[3] > before[3]
    assert learning.learns
    with refuses("arm", fixed):
        fixed.update(12, np.zeros(1), 1.0)


def test_a_lucky_click_does_not_make_a_bestseller():
    policy = MostPopular(2)
    for _ in range(1_000):
        policy.update(0, np.zeros(1), float(_ % 10 == 0))  # a tenth of many impressions
    policy.update(1, np.zeros(1), 1.0)
    assert policy.select(np.zeros(1)) == 0


# ---------------------------------------------------------------------- bad input


@every_policy
@pytest.mark.parametrize("worlds", [None, 3])
@pytest.mark.parametrize(
    "shape", [(), (4, 2), (6, 2), (3, 4, 2), (2, 5, 2, 1), (3, 5, 2, 7), (2, 3, 4, 2)]
)
def test_contexts_of_a_wrong_shape_are_refused(
    name: str, worlds: int | None, shape: tuple[int, ...]
):
    policy = MAKERS[name](5, worlds)
    for verb in (policy.select, policy.probabilities):
        with refuses("contexts", policy):
            verb(np.full(shape, 0.5))


@every_policy
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_contexts_that_are_not_finite_are_refused(name: str, bad: float):
    policy = MAKERS[name](5, None)
    contexts = np.full((5, 2), 0.5)
    contexts[3, 1] = bad
    for verb in (policy.select, policy.probabilities):
        with refuses("contexts", policy):
            verb(contexts)
        with refuses("contexts", policy):
            verb([["a", "b"]] * 5)


@every_policy
@pytest.mark.parametrize(
    "mask",
    [
        np.zeros(5, dtype=bool),
        np.ones(4, dtype=bool),
        np.ones((3, 5), dtype=bool),
        np.ones(5, dtype=int),
        np.ones(5),
        np.True_,
        "all",
        [None] * 5,
    ],
)
def test_masks_that_do_not_fit_or_offer_nothing_are_refused(name: str, mask: object):
    policy = MAKERS[name](5, None)
    for verb in (policy.select, policy.probabilities):
        with refuses("available", policy):
            verb(np.full((5, 2), 0.5), mask)


@every_policy
@pytest.mark.parametrize("arm", [-1, 5, 1.0, True, None, "0", [1], np.nan])
def test_an_arm_that_does_not_exist_is_refused(name: str, arm: object):
    policy = MAKERS[name](5, None)
    with refuses("arm", policy):
        policy.update(arm, np.zeros(2), 1.0)


@every_policy
def test_feedback_of_a_wrong_shape_or_value_is_refused(name: str):
    policy = MAKERS[name](5, None)
    for reward in (np.nan, np.inf, "1.0.0", None, [1.0], [[1.0]]):
        with refuses("reward", policy):
            policy.update(1, np.zeros(2), reward)
    for context in (np.zeros((5, 2)), 0.0, [np.nan, 1.0], [np.inf], "row", None):
        with refuses("context", policy):
            policy.update(1, context, 1.0)
    many = MAKERS[name](5, 3)
    for arm in (1, [1, 2], [1, 2, 5], [[0, 1, 2]]):
        with refuses("arm", many):
            many.update(arm, np.zeros((3, 2)), np.ones(3))
    for reward in (1.0, np.ones(2), [0.0, np.nan, 1.0]):
        with refuses("reward", many):
            many.update([0, 1, 2], np.zeros((3, 2)), reward)
    for context in (np.zeros(2), np.zeros((2, 2)), np.full((3, 2), np.nan)):
        with refuses("context", many):
            many.update([0, 1, 2], context, np.ones(3))


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "3", np.nan])
def test_numbers_of_arms_and_worlds_are_positive_integers(value: object):
    for kind in (RandomPolicy, Oracle, MostPopular, ScoringPolicy):
        with refuses("n_arms"):
            kind(value)
        with refuses("n_worlds"):
            kind(3, value)
    with refuses("n_arms"):
        MostPopular.from_log(small_shop().log(3), value)


def test_the_smallest_numbers_of_arms_and_worlds_are_one():
    for make in MAKERS.values():
        assert make(1, None).select(np.full((1, 2), 0.5)) == 0
        assert make(1, 1).select(np.full((1, 1, 2), 0.5)).tolist() == [0]
    even = MostPopular(1, prior_clicks=0.25, prior_impressions=0.5)
    assert even.scores(np.zeros(1)).tolist() == [0.5]


def test_constants_outside_their_range_are_refused():
    for epsilon in (-0.1, 1.1, np.nan, True, "0.1", None):
        with refuses("epsilon"):
            EpsilonGreedy(RandomPolicy(3), epsilon)
    for clicks in (-1.0, 51.0, np.nan, None):
        with refuses("prior_clicks"):
            MostPopular(3, prior_clicks=clicks)
    for impressions in (0.0, -2.0, np.inf, "50"):
        with refuses("prior_impressions"):
            MostPopular(3, prior_impressions=impressions)
    with refuses("log.products"):
        MostPopular.from_log(small_shop().log(300), 3)


def test_the_oracle_refuses_what_is_no_probability():
    policy = Oracle(2)
    for contexts in ([[0.1], [1.2]], [[-0.1], [0.5]]):
        with refuses("contexts", policy):
            policy.select(contexts)
