"""No measure depends on the order of its rows, or takes what it does not mean."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.lab import (
    auc,
    band,
    band_curve,
    calibration_error,
    effective_number,
    excess_loss,
    expected_log_loss,
    ips_rates,
    irreducible_loss,
    naive_rates,
    paired_band,
    reliability,
)
from recsys.shop import Log
from strategies import modest, refuses, small_shop

# Every measure of two columns (n,) with values in [0, 1], or of one; few values, so many tie.
PAIRS = {
    "expected_log_loss": expected_log_loss,
    "excess_loss": excess_loss,
    "loss of logits": lambda p, q: expected_log_loss(p, logits=20 * q - 10),
    "excess of logits": lambda p, q: excess_loss(p, logits=20 * q - 10),
    "irreducible_loss": lambda p, q: irreducible_loss(p),
    "auc": lambda p, q: auc(p > 0.3, q),
    "reliability": lambda p, q: reliability(q, p, 3),
    "calibration_error": lambda p, q: calibration_error(q, p, 3),
    "band": lambda p, q: tuple(vars(band(q)).values()),
    "band_curve": lambda p, q: band_curve(np.stack([p, q], axis=1)),
    "paired_band": lambda p, q: tuple(vars(paired_band(p, q)).values()),
}


@pytest.mark.parametrize("name", PAIRS)
@modest
@given(data=st.data(), n=st.integers(4, 30))
def test_a_measure_of_rows_in_another_order_is_the_same(name: str, data: st.DataObject, n: int):
    few = st.lists(st.sampled_from([0.1, 0.2, 0.6, 0.9]), min_size=n, max_size=n)
    p, q = (np.array(data.draw(few)) for _ in range(2))
    p[:2] = 0.1, 0.9
    order = np.array(data.draw(st.permutations(range(n))))
    ours, shuffled = PAIRS[name](p, q), PAIRS[name](p[order], q[order])
    assert np.allclose(ours, shuffled, rtol=1e-12, atol=1e-14)


@modest
@given(order=st.permutations(range(40)))
def test_a_measure_of_a_log_in_another_order_is_the_same(order: list[int]):
    log = small_shop(3, n_products=5).log(40)
    shuffled = log[np.array(order)]
    for rates in (naive_rates, ips_rates):
        assert rates(log, 5) == pytest.approx(rates(shuffled, 5), rel=1e-12, nan_ok=True)
    found = effective_number(shuffled.products, 5)
    assert effective_number(log.products, 5) == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bins", [1, 2, 3, 10, 1_000])
def test_predictions_that_hold_have_no_calibration_error_in_any_order(seed: int, bins: int):
    predicted = np.repeat([0.2, 0.6], 500)
    clicks = np.concatenate([np.arange(500) < 100, np.arange(500) < 300]).astype(float)
    order = np.random.default_rng(seed).permutation(1_000)
    assert calibration_error(predicted[order], clicks[order], bins) == pytest.approx(0, abs=1e-15)
    mean, rate, count = reliability(predicted[order], clicks[order], bins)
    assert mean == pytest.approx(rate)
    assert count @ rate == pytest.approx(400)


def test_bins_without_ties_hold_the_outcomes_as_they_are():
    rng = np.random.default_rng(0)
    predicted, outcome = rng.random(503), rng.random(503)
    groups = np.array_split(np.argsort(predicted), 10)
    mean, rate, _ = reliability(predicted, outcome)
    assert mean.tolist() == [predicted[g].mean() for g in groups]
    assert rate.tolist() == [outcome[g].mean() for g in groups]


class Column:
    """A column of a table: values beside the labels of their rows."""

    def __init__(self, values: list, index: list) -> None:
        self.values, self.index = np.array(values), np.array(index)
        self.shape = self.values.shape

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return self.values

    def __len__(self) -> int:
        return len(self.values)


NOT_MEANT = {
    "texts": ["0.1", "0.9", "0.4"],
    "objects": [0.1, None, 0.4],
    "NaN": [0.1, np.nan, 0.4],
    "masked": np.ma.array([0.1, 0.5, 0.9], mask=[False, True, False]),
    "dates": np.array(["2020-01-01"] * 3, dtype="M8[D]"),
    "complex": np.array([0.1, 0.2, 0.3j]),
    "gradients": torch.full((3,), 0.5, requires_grad=True),
    "ragged": [[0.1], [0.2, 0.3], [0.4]],
}
GOOD, CLICKS = np.array([0.1, 0.9, 0.4]), np.array([0.0, 1.0, 0.0])
CALLS = {
    "expected_log_loss, truth": ("truth", lambda x: expected_log_loss(x, GOOD)),
    "expected_log_loss": ("predicted", lambda x: expected_log_loss(GOOD, x)),
    "expected_log_loss, logits": ("logits", lambda x: expected_log_loss(GOOD, logits=x)),
    "irreducible_loss": ("truth", irreducible_loss),
    "excess_loss, truth": ("truth", lambda x: excess_loss(x, GOOD)),
    "excess_loss": ("predicted", lambda x: excess_loss(GOOD, x)),
    "excess_loss, logits": ("logits", lambda x: excess_loss(GOOD, logits=x)),
    "auc, clicks": ("clicks", lambda x: auc(x, GOOD)),
    "auc": ("scores", lambda x: auc(CLICKS, x)),
    "reliability": ("predicted", lambda x: reliability(x, CLICKS, 2)),
    "reliability, outcome": ("outcome", lambda x: reliability(GOOD, x, 2)),
    "calibration_error": ("predicted", lambda x: calibration_error(x, CLICKS, 2)),
    "calibration_error, outcome": ("outcome", lambda x: calibration_error(GOOD, x, 2)),
    "band": ("samples", band),
    "band_curve": ("samples", lambda x: band_curve([x, x])),
    "paired_band": ("first", lambda x: paired_band(x, GOOD)),
    "paired_band, second": ("second", lambda x: paired_band(GOOD, x)),
    "effective_number": ("products", lambda x: effective_number(x, 3)),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", NOT_MEANT)
def test_what_is_no_column_of_numbers_is_refused(call: str, kind: str):
    argument, measure = CALLS[call]
    with refuses(argument):
        measure(NOT_MEANT[kind])


def test_booleans_are_clicks_and_no_predictions():
    clicks = CLICKS.astype(bool)
    assert auc(clicks, GOOD) == auc(CLICKS, GOOD)
    assert expected_log_loss(clicks, GOOD) == expected_log_loss(CLICKS, GOOD)
    assert calibration_error(GOOD, clicks, 2) == calibration_error(GOOD, CLICKS, 2)
    for argument, call in (
        ("predicted", lambda: expected_log_loss(GOOD, clicks)),
        ("predicted", lambda: calibration_error(clicks, GOOD, 2)),
        ("logits", lambda: excess_loss(GOOD, logits=clicks)),
        ("scores", lambda: auc(clicks, clicks)),
        ("products", lambda: effective_number(clicks, 2)),
    ):
        with refuses(argument):
            call()


def test_tables_and_single_numbers_are_refused_where_a_column_is_meant():
    table = np.array([[0.0, 1.0], [1.0, 0.0]])
    with refuses("clicks"):
        auc(table, table)  # scikit-learn would take it for several labels
    for products in (1, [[0, 1]], np.ma.array([0, 1], mask=[True, False])):
        with refuses("products"):
            effective_number(products, 3)
    for call in (reliability, calibration_error):
        with refuses("predicted"):
            call(0.5, 0.5, 1)


def test_columns_of_tables_whose_rows_are_labelled_differently_are_refused():
    one, same, other = (Column([0.1, 0.9, 0.4], i) for i in ([0, 1, 2], [0, 1, 2], [2, 1, 0]))
    clicks = Column([0.0, 1.0, 0.0], [0, 1, 2])
    assert expected_log_loss(one, same) == irreducible_loss(GOOD)
    for argument, call in (
        ("predicted", lambda: expected_log_loss(one, other)),
        ("logits", lambda: excess_loss(one, logits=other)),
        ("scores", lambda: auc(clicks, other)),
        ("predicted", lambda: calibration_error(other, clicks, 2)),
        ("second", lambda: paired_band(one, other)),
    ):
        with refuses(argument):
            call()


@pytest.mark.parametrize("field", ["clicks", "products", "propensities"])
def test_rates_refuse_a_log_whose_columns_do_not_fit(field: str):
    good = {
        "rounds": np.arange(3),
        "users": np.zeros(3, dtype=int),
        "products": np.array([0, 1, 1]),
        "clicks": CLICKS,
        "propensities": np.full(3, 0.5),
    }
    hidden = np.ma.array(good[field], mask=[True, False, False])
    bad = [good[field][:2], hidden, np.array(["0"] * 3), np.array([np.nan] * 3), good[field][None]]
    for values in bad:
        log = type("Rows", (), {**good, field: values})()
        if field != "propensities":
            with refuses(r"log\.\w+"):
                naive_rates(log, 2)
        with refuses(r"log\.\w+"):
            ips_rates(log, 2)
    for value in (0.5, 2.0, -1.0):
        log = Log(*({**good, "clicks": np.full(3, value)}).values())
        for rates in (naive_rates, ips_rates):
            with refuses("clicks"):
                rates(log, 2)


def test_samples_whose_squares_overflow_are_refused():
    for bad in ([1e200, -1e200], [1e308, 1.2e308]):
        with refuses("samples"):
            band(bad)
        with refuses("samples"):
            band_curve(np.array(bad)[:, None])
        with refuses("first"):
            paired_band(bad, [0.0, 1.0])
        with refuses("second"):
            paired_band([0.0, 1.0], bad)
