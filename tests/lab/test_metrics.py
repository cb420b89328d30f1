import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from recsys.lab.bands import Estimate, band, band_curve, paired_band
from recsys.lab.calibration import calibration_error, reliability
from recsys.lab.metrics import (
    auc,
    effective_number,
    excess_loss,
    expected_log_loss,
    ips_rates,
    irreducible_loss,
    naive_rates,
    normalised_entropy,
)
from recsys.shop.records import Log
from strategies import modest, refuses, small_shop

NORMAL = st.floats(-1e3, 1e3)
INNER = st.floats(1e-6, 1 - 1e-6)


# ---------------------------------------------------------------------- bands


@modest
@given(
    samples=hnp.arrays(float, st.integers(2, 9), elements=NORMAL).filter(
        lambda a: np.ptp(a) > 1e-3
    ),
    level=st.floats(0.05, 0.999),
)
def test_a_band_is_the_student_t_interval(samples: np.ndarray, level: float):
    mine = band(samples, level)
    low, high = stats.t.interval(
        level, len(samples) - 1, loc=np.mean(samples), scale=stats.sem(samples)
    )
    assert mine.mean == pytest.approx(np.mean(samples), rel=1e-9, abs=1e-9)
    assert (mine.low, mine.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)
    assert mine.n == len(samples)


def test_a_band_of_two_numbers_is_as_worked_out_by_hand():
    # mean 2, standard error 1, and the 97.5 % point of t with one degree of freedom, a Cauchy
    mine = band([1.0, 3.0])
    assert mine.mean == 2.0
    assert mine.high - 2.0 == pytest.approx(math.tan(math.pi * 0.475), rel=1e-12)
    assert mine.low + mine.high == pytest.approx(4.0)


@pytest.mark.parametrize("n", [2, 5, 20])
def test_the_band_covers_the_mean_as_often_as_it_says(n: int):
    draws = np.random.default_rng(n).normal(3.0, 2.0, size=(n, 20_000))
    mean, half = band_curve(draws)
    covered = np.abs(mean - 3.0) <= half
    assert stats.binomtest(int(covered.sum()), 20_000, 0.95).pvalue > 1e-3
    mean, half = band_curve(draws, level=0.5)
    covered = np.abs(mean - 3.0) <= half
    assert stats.binomtest(int(covered.sum()), 20_000, 0.5).pvalue > 1e-3


def test_a_curve_has_the_band_of_each_of_its_points():
    samples = np.random.default_rng(0).normal(size=(7, 5)).cumsum(axis=1)
    mean, half = band_curve(samples, 0.9)
    for t in range(5):
        point = band(samples[:, t], 0.9)
        assert (mean[t], half[t]) == pytest.approx((point.mean, point.high - point.mean))


def test_what_the_seeds_share_cancels_in_the_paired_band_only():
    rng = np.random.default_rng(1)
    luck = rng.normal(0, 10, size=20)
    first, second = luck + 0.5 + rng.normal(0, 0.1, 20), luck + rng.normal(0, 0.1, 20)
    paired = paired_band(first, second)
    reference = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (paired.low, paired.high) == pytest.approx((reference.low, reference.high), rel=1e-9)
    assert paired.excludes_zero
    unpaired = stats.ttest_ind(first, second).confidence_interval(0.95)
    assert unpaired.low < 0 < unpaired.high
    assert paired.high - paired.low < 0.05 * (unpaired.high - unpaired.low)


def test_the_paired_band_changes_sign_with_the_order_of_its_arguments():
    first, second = np.array([1.0, 4.0, 2.0]), np.array([0.0, 1.0, 3.0])
    one, other = paired_band(first, second), paired_band(second, first)
    assert one.mean == pytest.approx(1.0)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_policies_that_are_alike_are_called_different_at_the_nominal_rate():
    rng = np.random.default_rng(2)
    calls = [paired_band(*rng.normal(size=(2, 8))).excludes_zero for _ in range(2_000)]
    assert stats.binomtest(sum(calls), 2_000, 0.05).pvalue > 1e-3


@pytest.mark.parametrize(
    ("low", "high", "excludes"),
    [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.1, False), (0.0, 0.1, False), (-1, 0.0, False)],
)
def test_a_band_excludes_zero_when_all_of_it_is_on_one_side(
    low: float, high: float, excludes: bool
):
    assert Estimate((low + high) / 2, low, high, 20).excludes_zero is excludes


# ---------------------------------------------------------------------- predictions


@modest
@given(pairs=st.lists(st.tuples(st.integers(0, 1), INNER), min_size=1, max_size=12))
def test_the_expected_log_loss_of_certain_truths_is_the_log_loss(pairs: list[tuple[int, float]]):
    clicks, predicted = zip(*pairs, strict=True)
    expected = log_loss(clicks, predicted, labels=[0, 1])
    assert expected_log_loss(clicks, predicted) == pytest.approx(expected, rel=1e-9)


@modest
@given(pairs=st.lists(st.tuples(INNER, INNER), min_size=1, max_size=8))
def test_loss_is_entropy_plus_divergence_and_never_below_the_entropy(
    pairs: list[tuple[float, float]],
):
    p, q = np.array(pairs).T
    entropy = np.mean([stats.entropy([a, 1 - a]) for a in p])
    divergence = np.mean([stats.entropy([a, 1 - a], [b, 1 - b]) for a, b in pairs])
    assert irreducible_loss(p) == pytest.approx(entropy, rel=1e-7, abs=1e-12)
    assert excess_loss(p, q) == pytest.approx(divergence, rel=1e-7, abs=1e-9)
    assert expected_log_loss(p, q) == pytest.approx(entropy + divergence, rel=1e-7)
    assert excess_loss(p, q) >= 0
    assert excess_loss(p, p) == 0.0


def test_the_expected_log_loss_is_the_mean_of_what_drawn_clicks_give():
    rng = np.random.default_rng(0)
    p, q = rng.uniform(0.02, 0.3, 50_000), rng.uniform(0.02, 0.3, 50_000)
    clicks = (rng.random(50_000) < p).astype(float)
    spread = np.sqrt(np.mean(p * (1 - p) * np.log(q / (1 - q)) ** 2) / 50_000)
    assert abs(log_loss(clicks, q) - expected_log_loss(p, q)) < 4 * spread


def test_certainty_costs_nothing_when_right_and_everything_when_wrong():
    assert expected_log_loss([0.0, 1.0], [0.0, 1.0]) == 0.0
    assert irreducible_loss([0.0, 1.0]) == 0.0
    assert excess_loss([0.0, 1.0], [0.0, 1.0]) == 0.0
    assert expected_log_loss([0.5], [0.0]) == math.inf
    assert excess_loss([0.5], [1.0]) == math.inf
    assert irreducible_loss([0.5]) == pytest.approx(math.log(2))


@modest
@given(
    pairs=st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0, 0.1, 0.2, 0.5])), min_size=2)
    .filter(lambda v: 0 < sum(c for c, _ in v) < len(v))
    .map(lambda v: v[:30])
    .filter(lambda v: 0 < sum(c for c, _ in v) < len(v))
)
def test_auc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[int, float]]):
    clicked = [score for click, score in pairs if click]
    passed = [score for click, score in pairs if not click]
    won = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in clicked for b in passed)
    expected = won / (len(clicked) * len(passed))
    assert auc(*zip(*pairs, strict=True)) == pytest.approx(expected, abs=1e-12)


def test_reliability_on_an_example_by_hand():
    predicted = [0.9, 0.1, 0.5, 0.2, 0.6]
    outcome = [1, 0, 0, 1, 1]
    mean, rate, count = reliability(predicted, outcome, bins=2)
    assert mean == pytest.approx([(0.1 + 0.2 + 0.5) / 3, (0.6 + 0.9) / 2])
    assert rate == pytest.approx([1 / 3, 1.0])
    assert count.tolist() == [3, 2]
    gap = (3 * abs(0.8 / 3 - 1 / 3) + 2 * abs(0.75 - 1.0)) / 5
    assert calibration_error(predicted, outcome, bins=2) == pytest.approx(gap)


@modest
@given(data=st.data(), n=st.integers(1, 40))
def test_bins_part_the_predictions_by_size_and_lose_nothing(data: st.DataObject, n: int):
    unit = hnp.arrays(float, n, elements=st.floats(0, 1))
    predicted, outcome = data.draw(unit), data.draw(unit)
    bins = data.draw(st.integers(1, n))
    mean, rate, count = reliability(predicted, outcome, bins)
    assert len(mean) == len(rate) == len(count) == bins
    assert count.sum() == n
    assert count.max() - count.min() <= 1
    assert (np.diff(mean) >= -1e-12).all()
    assert count @ mean == pytest.approx(predicted.sum(), abs=1e-9)
    assert count @ rate == pytest.approx(outcome.sum(), abs=1e-9)
    assert calibration_error(predicted, outcome, n) <= np.abs(predicted - outcome).mean() + 1e-12


def test_true_probabilities_are_calibrated_and_inflated_ones_are_off_by_the_inflation():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.02, 0.4, 40_000)
    clicks = (rng.random(40_000) < p).astype(float)
    assert calibration_error(p, p) == 0.0
    assert calibration_error(p, clicks) < 4 * math.sqrt(0.25 / 4_000)
    assert calibration_error(p + 0.2, p) == pytest.approx(0.2)


def test_the_area_depends_on_the_order_of_the_scores_only():
    rng = np.random.default_rng(4)
    scores, clicks = rng.normal(size=400).round(1), (rng.random(400) < 0.3).astype(int)
    area = auc(clicks, scores)
    assert area == roc_auc_score(clicks, scores)
    assert auc(clicks, 1e300 * scores) == auc(clicks, 1e-300 * scores) == area
    assert auc([0, 1, 1], [-1.7e308, 0.0, 1.7e308]) == 1.0  # whose difference overflows


# ---------------------------------------------------------------------- logits


@modest
@given(p=st.floats(0, 1), z=st.floats(-30, 30))
def test_logits_are_judged_as_their_probabilities(p: float, z: float):
    expected = expected_log_loss([p], expit([z]))
    assert expected_log_loss([p], logits=[z]) == pytest.approx(expected, rel=1e-3)
    with localcontext(prec=60):  # as exact as one likes
        exact, q = Decimal(p), 1 / (1 + (-Decimal(z)).exp())
        loss = -(exact * q.ln() + (1 - exact) * (1 - q).ln())
        entropy = -sum(x * x.ln() for x in (exact, 1 - exact) if x)
    assert expected_log_loss([p], logits=[z]) == pytest.approx(float(loss), rel=1e-12)
    assert excess_loss([p], logits=[z]) == pytest.approx(float(loss - entropy), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("z", [17.5, 40.0, 800.0, 1e10, 1.7e308])
def test_the_loss_of_a_finite_logit_is_finite_and_grows_with_it(z: float):
    for sign, truth in ((1, 0.0), (-1, 1.0)):
        wrong, right = np.full(5, sign * z), np.full(5, -sign * z)
        known = np.full(5, truth)
        assert expected_log_loss(known, logits=wrong) == pytest.approx(z, rel=1e-7)
        assert excess_loss(known, logits=wrong) == pytest.approx(z, rel=1e-7)
        assert 0 <= excess_loss(known, logits=right) < 3e-8
    assert excess_loss([0.25], logits=[z]) == pytest.approx(0.75 * z, rel=0.05)


@modest
@given(p=st.floats(1e-9, 1 - 1e-9))
def test_the_logit_of_the_truth_has_no_excess(p: float):
    assert 0 <= excess_loss([p], logits=[np.log(p) - np.log1p(-p)]) < 1e-14


def test_probabilities_or_logits_are_judged_and_never_both():
    for call in (expected_log_loss, excess_loss):
        with refuses("predicted"):
            call([0.1], [0.2], logits=[1.0])
        with refuses("predicted"):
            call([0.1])
        for bad in ([np.nan], [np.inf], [0.1, 0.2], 0.1, ["1"], [True]):
            with refuses("logits"):
                call([0.1], logits=bad)


# ---------------------------------------------------------------------- logs


def test_rates_of_a_small_log_by_hand():
    log = Log(
        np.arange(6),
        np.zeros(6, dtype=int),
        np.array([0, 0, 2, 2, 2, 3]),
        np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0]),
        np.array([0.5, 0.25, 0.2, 0.4, 0.5, 0.1]),
    )
    naive = naive_rates(log, 5)
    assert naive[[0, 2, 3]] == pytest.approx([0.5, 2 / 3, 0.0])
    assert np.isnan(naive[[1, 4]]).all()
    weighted = [(1 / 0.5) / 6, 0.0, (1 / 0.2 + 1 / 0.4) / 6, 0.0, 0.0]
    assert ips_rates(log, 5) == pytest.approx(weighted)


def test_inverse_propensities_undo_the_selection_that_biases_the_naive_rate():
    # yesterday's policy shows to each visitor what that visitor likes, so naive rates are too high
    n, runs = 4_000, 60
    estimates, naive = [], []
    shop = small_shop(2, n_users=400, n_products=6, base_logit=-3.0, log_exploration=0.3)
    for _ in range(runs):
        log = shop.log(n)
        estimates.append(ips_rates(log, 6))
        naive.append(naive_rates(log, 6))
    weight = shop.users.activity / shop.users.activity.sum()
    truth = weight @ shop.click_probability(np.arange(400)[:, None], np.arange(6))
    error = np.std(estimates, axis=0, ddof=1) / np.sqrt(runs)
    assert (np.abs(np.mean(estimates, axis=0) - truth) < 4 * error).all()
    bias = (np.mean(naive, axis=0) - truth) / (np.std(naive, axis=0, ddof=1) / np.sqrt(runs))
    assert np.abs(bias).max() > 10


@modest
@given(shown=st.lists(st.integers(0, 6), min_size=1, max_size=40))
def test_the_effective_number_of_products_is_the_exponential_of_the_entropy(shown: list[int]):
    counts = [shown.count(product) for product in range(7)]
    expected = math.exp(stats.entropy(counts))
    assert effective_number(shown, 7) == pytest.approx(expected, rel=1e-9)
    assert 1 - 1e-9 <= effective_number(shown, 7) <= len(set(shown)) + 1e-9


def test_the_effective_number_counts_products_shown_equally():
    assert effective_number([3] * 10, 8) == pytest.approx(1.0)
    assert effective_number(np.arange(8), 8) == pytest.approx(8.0)
    assert effective_number([0, 1] * 5, 8) == pytest.approx(2.0)


# ---------------------------------------------------------------------- bad input


NO_NUMBERS = [[np.nan, 0.2], [0.1, np.inf], "text", [[0.1], [0.1, 0.2]], None]


@pytest.mark.parametrize("bad", [*NO_NUMBERS, [], [0.5], 3.0, np.zeros((2, 2))], ids=repr)
def test_a_band_needs_a_finite_number_from_each_of_two_seeds(bad: object):
    with refuses("samples"):
        band(bad)
    with refuses("first"):
        short = isinstance(bad, list) and len(bad) < 2  # two short samples would be of one length
        paired_band([[1.0]] if short else bad, [0.1, 0.2])


def test_curves_and_pairs_of_a_wrong_shape_are_refused():
    for bad in (
        np.zeros(4),
        np.zeros((2, 2, 2)),
        np.zeros((1, 5)),
        np.zeros((0, 5)),
        [[np.nan]] * 3,
    ):
        with refuses("samples"):
            band_curve(bad)
    for bad in (np.zeros(3), np.zeros((2, 1)), [0.0, np.nan], 1.0):
        with refuses("second"):
            paired_band([0.1, 0.2], bad)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 1.1, 95, np.nan, True, None, "0.95"])
def test_a_level_lies_strictly_between_zero_and_one(level: object):
    for call in (
        lambda: band([0.1, 0.3], level),
        lambda: band_curve([[0.1], [0.3]], level),
        lambda: paired_band([0.1, 0.3], [0.0, 0.1], level),
    ):
        with refuses("level"):
            call()


@pytest.mark.parametrize("bad", [*NO_NUMBERS, [-0.1, 0.5], [0.5, 1.1]], ids=repr)
def test_what_is_no_probability_is_refused_by_its_name(bad: object):
    good = [0.1, 0.2]
    with refuses("truth"):
        expected_log_loss(bad, good)
    with refuses("truth"):
        excess_loss(bad, good)
    with refuses("truth"):
        irreducible_loss(bad)
    for call in (expected_log_loss, excess_loss):
        with refuses("predicted"):
            call(good, bad)
    for call in (reliability, calibration_error):
        with refuses("predicted"):
            call(bad, good, 1)
        with refuses("outcome"):
            call(good, bad, 1)


def test_predictions_of_another_shape_than_the_truth_are_refused():
    for call in (expected_log_loss, excess_loss):
        with refuses("predicted"):
            call([0.1, 0.2], [0.1])
        with refuses("predicted"):
            call([0.1], 0.1)
    for call in (reliability, calibration_error):
        with refuses("predicted"):
            call([0.1, 0.2], [0.1], 1)
    with pytest.raises(ValueError, match=r"clicks|scores|predicted"):
        auc([0, 1, 1], [0.1, 0.2])


def test_nothing_to_average_is_refused():
    empty = np.zeros(0)
    with refuses("truth"):
        expected_log_loss(empty, empty)
    with refuses("truth"):
        irreducible_loss(empty)
    with refuses("truth"):
        excess_loss(empty, empty)
    with refuses("clicks"):
        auc(empty, empty)
    with refuses("products"):
        effective_number(np.zeros(0, dtype=int), 3)
    with pytest.raises(ValueError, match=r"predicted|bins"):
        reliability(empty, empty)


@pytest.mark.parametrize("clicks", [[0, 0], [1, 1], [0, 0.5], [0, 2], [np.nan, 1], "ab"])
def test_auc_needs_clicks_and_non_clicks(clicks: object):
    with refuses("clicks"):
        auc(clicks, [0.1, 0.2])


@pytest.mark.parametrize("scores", [[np.nan, 0.1], [0.1, np.inf], "ab", None])
def test_auc_needs_finite_scores(scores: object):
    with refuses("scores"):
        auc([0, 1], scores)


@pytest.mark.parametrize("bins", [0, -1, 4, 2.0, True, None])
def test_there_are_at_most_as_many_bins_as_predictions(bins: object):
    for call in (reliability, calibration_error):
        with refuses("bins"):
            call([0.1, 0.2, 0.3], [0, 1, 0], bins)


def test_tables_of_predictions_are_refused_where_one_axis_is_meant():
    table = np.full((2, 3), 0.5)
    for call in (reliability, calibration_error):
        with refuses("predicted"):
            call(table, table, 2)


@pytest.mark.parametrize("n_products", [0, -1, 3, 2.0, True, None, "4"])
def test_rates_and_exposure_need_the_number_of_products(n_products: object):
    log = small_shop(0, n_products=12).log(200)  # shows products beyond the third
    for call in (naive_rates, ips_rates):
        with pytest.raises(ValueError, match=r"n_products|products"):
            call(log, n_products)
    with pytest.raises(ValueError, match=r"n_products|products"):
        effective_number(log.products, n_products)


@pytest.mark.parametrize("products", [[-1], [4], [0.0], [True], ["a"], [np.nan]])
def test_exposure_of_products_that_do_not_exist_is_refused(products: list):
    with refuses("products"):
        effective_number(products, 4)


@pytest.mark.parametrize("propensity", [0.0, -0.1, 1.1, np.nan])
def test_inverse_propensities_need_propensities(propensity: float):
    zero = np.zeros(2, dtype=int)
    log = Log(np.arange(2), zero, zero, np.array([0.0, 1.0]), np.array([0.5, propensity]))
    with pytest.raises(ValueError, match="propensities"):
        ips_rates(log, 2)


def test_rates_of_an_empty_log_are_refused_or_unknown():
    log = small_shop().log(3)[:0]
    assert np.isnan(naive_rates(log, 4)).all()
    with pytest.raises(ValueError, match="log"):
        ips_rates(log, 4)


# ---------------------------------------------------------------------- normalised entropy


@modest
@given(seed=st.integers(0, 10**6), rate=st.floats(0.1, 0.9))
def test_normalised_entropy_is_the_loss_over_that_of_a_constant(seed: int, rate: float):
    rng = np.random.default_rng(seed)
    clicks = np.append(rng.random(50) < rate, [True, False]).astype(float)
    predicted = rng.uniform(0.01, 0.99, 52)
    constant = np.full(52, clicks.mean())
    wanted = log_loss(clicks, predicted) / log_loss(clicks, constant)
    assert normalised_entropy(clicks, predicted) == pytest.approx(wanted, rel=1e-9)
    assert normalised_entropy(clicks, constant) == pytest.approx(1.0)
    assert normalised_entropy(clicks, np.clip(clicks, 1e-12, 1 - 1e-12)) < 1e-9


def test_normalised_entropy_is_one_for_the_mean_and_scikit_learns_ratio_for_clicks():
    rng = np.random.default_rng(4)
    truth = rng.beta(1, 9, 2_000)
    clicks = (rng.random(2_000) < truth).astype(float)
    constant = np.full(2_000, clicks.mean())
    assert normalised_entropy(clicks, constant) == pytest.approx(1.0)
    expected = log_loss(clicks, truth) / log_loss(clicks, constant)
    assert normalised_entropy(clicks, truth) == pytest.approx(expected)
    logits = np.log(truth / (1 - truth))
    assert normalised_entropy(clicks, logits=logits) == pytest.approx(expected)
    assert normalised_entropy(truth, truth) < 1 < normalised_entropy(truth, truth[::-1])


def test_normalised_entropy_refuses_an_audience_of_one_kind():
    with refuses("truth"):
        normalised_entropy([0.0, 0.0], [0.1, 0.2])
