from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys import checks
from strategies import NOT_NUMBERS, modest, refuses

FLOATS = st.floats(allow_nan=True, allow_infinity=True)


@modest
@given(value=st.integers(-20, 20), low=st.integers(-10, 10), high=st.integers(-10, 10))
def test_an_integer_passes_exactly_when_it_lies_in_the_closed_range(
    value: int, low: int, high: int
):
    if value in range(low, high + 1):
        for same in (value, np.int32(value), np.int64(value)):
            result = checks.integer("size", same, low, high)
            assert result == value
            assert type(result) is int
    else:
        with refuses("size"):
            checks.integer("size", value, low, high)


@pytest.mark.parametrize("value", [*NOT_NUMBERS, 2.0, np.float64(3.0), np.True_, np.array([1])])
def test_an_integer_is_never_a_bool_a_float_or_a_text(value: object):
    with refuses("size"):
        checks.integer("size", value, 0)


def test_an_integer_without_maximum_may_be_as_large_as_python_allows():
    assert checks.integer("size", 10**30, 0) == 10**30


@modest
@given(value=FLOATS, low=st.floats(-5, 5), high=st.floats(-5, 5))
def test_a_number_passes_exactly_when_it_is_finite_and_in_the_closed_range(
    value: float, low: float, high: float
):
    if low <= value <= high:  # false for NaN; the bounds are finite
        assert checks.number("rate", value, low, high) == value
    else:
        with refuses("rate"):
            checks.number("rate", value, low, high)


@pytest.mark.parametrize(
    "value", [*NOT_NUMBERS, -np.inf, np.bool_(0), pytest.param(10**400, id="huge")]
)
def test_a_number_is_never_a_bool_a_text_or_beyond_every_float(value: object):
    with refuses("rate"):
        checks.number("rate", value, -1e9)


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int8(2), Fraction(4, 2)])
def test_a_number_of_any_real_type_comes_back_as_a_float(value: object):
    result = checks.number("rate", value, 0.0)
    assert type(result) is float
    assert result == 2.0


@modest
@given(values=st.lists(st.integers(-3, 12), min_size=1, max_size=8), upper=st.integers(1, 10))
def test_ids_pass_exactly_when_each_one_is_in_range(values: list[int], upper: int):
    if all(0 <= value < upper for value in values):
        result = checks.ids("users", values, upper)
        assert result.dtype == np.int64
        assert result.tolist() == values
    else:
        with refuses("users"):
            checks.ids("users", values, upper)


@pytest.mark.parametrize(
    "values",
    [[0.0], [True], ["0"], [None], np.array([1.0, np.nan]), [2**70], np.array([0j]), [[1], [2, 3]]],
)
def test_ids_are_whole_numbers_by_type_not_by_value(values: object):
    with refuses("users"):
        checks.ids("users", values, 10)


def test_ids_keep_their_shape_and_may_be_unsigned_or_empty():
    assert checks.ids("users", np.zeros((2, 0, 3), dtype=np.uint8), 1).shape == (2, 0, 3)
    assert checks.ids("users", np.uint64(7), 8) == 7
    with refuses("users"):
        checks.ids("users", np.uint64(2**63 + 5), 10)


@modest
@given(
    shape=st.lists(st.integers(0, 3), max_size=3).map(tuple),
    wanted=st.lists(st.none() | st.integers(0, 3), max_size=3).map(tuple),
)
def test_finite_compares_the_whole_shape_and_none_matches_any_length(
    shape: tuple[int, ...], wanted: tuple[int | None, ...]
):
    values = np.ones(shape)
    fits = len(shape) == len(wanted)
    for axis in range(min(len(shape), len(wanted))):
        fits = fits and wanted[axis] in (None, shape[axis])
    if fits:
        assert checks.finite("rows", values, wanted).shape == shape
    else:
        with refuses("rows"):
            checks.finite("rows", values, wanted)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (1, 2), (0, 1)])
def test_one_value_that_is_not_finite_is_found_wherever_it_stands(
    bad: float, place: tuple[int, int]
):
    values = np.zeros((2, 3))
    values[place] = bad
    for check in (checks.finite, checks.probabilities, checks.binary):
        with refuses("rows"):
            check("rows", values)


@modest
@given(values=st.lists(st.floats(-1e200, 1e200), max_size=4), longest=st.floats(0.1, 1e150))
def test_finite_bounds_the_length_where_it_is_told_to(values: list[float], longest: float):
    length = np.hypot.reduce(values) if values else 0.0
    if length < 0.999 * longest:
        assert checks.finite("rows", values, longest=longest).tolist() == values
    elif length > 1.001 * longest:
        with refuses("rows"):
            checks.finite("rows", values, longest=longest)
    assert checks.finite("rows", values).tolist() == values  # however long


@pytest.mark.parametrize(
    "values",
    [
        ["a"],
        [[1.0], [1.0, 2.0]],
        object(),
        [1 + 2j],
        np.array([1 + 2j]),
        [10**400],
        "0.5",
        ["0.5", "1"],
        np.array([b"1"]),
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        np.array([3], dtype="timedelta64[s]"),
        np.ma.array([1.0, 2.0], mask=[False, True]),
        torch.ones(2, requires_grad=True),
    ],
)
def test_finite_refuses_what_is_not_an_array_of_real_numbers(values: object):
    with refuses("rows"):
        checks.finite("rows", values)


@modest
@given(values=st.lists(st.floats(-0.5, 1.5), max_size=6))
def test_probabilities_pass_exactly_when_each_one_is_in_the_unit_interval(values: list[float]):
    if all(0.0 <= value <= 1.0 for value in values):
        assert checks.probabilities("chance", values).tolist() == values
    else:
        with refuses("chance"):
            checks.probabilities("chance", values)


@modest
@given(values=st.lists(st.sampled_from([0, 1, 0.0, 1.0, True, 0.5, -1, 2, 1 - 1e-12]), max_size=6))
def test_binary_passes_exactly_when_each_value_is_zero_or_one(values: list[float]):
    if all(value in (0, 1) for value in values):
        result = checks.binary("clicks", values)
        assert result.dtype == float
        assert result.tolist() == values
    else:
        with refuses("clicks"):
            checks.binary("clicks", values)


@pytest.mark.parametrize("value", ["", "fis", "Fish", None, 0, ["fish"], ("fish",)])
def test_one_of_takes_only_the_exact_names(value: object):
    assert checks.one_of("towards", "fish", ("cat", "fish")) == "fish"
    with refuses("towards"):
        checks.one_of("towards", value, ("cat", "fish"))


def test_the_message_says_what_came_and_what_was_expected():
    with pytest.raises(ValueError, match=r"^n_users: got -3, expected an integer >= 1 and <= 9$"):
        checks.integer("n_users", -3, 1, 9)
    with pytest.raises(ValueError, match=r"^towards: got 'dragon', expected one of cat, fish$"):
        checks.one_of("towards", "dragon", ("cat", "fish"))
    with pytest.raises(ValueError, match=r"^rows: got shape \(2, 3\), expected \('any', 4\)$"):
        checks.finite("rows", np.ones((2, 3)), (None, 4))
