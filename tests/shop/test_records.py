from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.shop.records import Log, Trace, Visits
from strategies import modest, refuses

COLUMNS = ("rounds", "users", "products", "clicks", "propensities")


def numbered_log(first: int, n: int) -> Log:
    """Return a log whose columns all differ, so that a mixed-up column shows."""
    t = np.arange(first, first + n)
    return Log(t, 10 * t + 1, 10 * t + 2, (t % 3 == 0).astype(float), 1.0 / (t + 1))


def row(log: Log, i: int) -> tuple[float, ...]:
    return tuple(float(getattr(log, name)[i]) for name in COLUMNS)


@modest
@given(n=st.integers(1, 9), data=st.data())
def test_rows_of_a_log_are_taken_from_every_column_alike(n: int, data: st.DataObject):
    log = numbered_log(4, n)
    rows = data.draw(st.lists(st.integers(-n, n - 1), max_size=12))
    taken = log[np.array(rows, dtype=np.int64)]
    assert len(taken) == len(rows)
    for i, r in enumerate(rows):
        assert row(taken, i) == row(log, r)


@modest
@given(
    n=st.integers(0, 9), start=st.none() | st.integers(-10, 10), stop=st.none() | st.integers(-9, 9)
)
def test_a_slice_of_a_log_is_the_slice_of_its_rows(n: int, start: int | None, stop: int | None):
    log = numbered_log(0, n)
    expected = [row(log, i) for i in range(n)][start:stop]
    part = log[start:stop]
    assert [row(part, i) for i in range(len(part))] == expected


@modest
@given(sizes=st.lists(st.integers(0, 4), min_size=2, max_size=3))
def test_logs_are_joined_in_the_order_of_the_sum(sizes: list[int]):
    parts = [numbered_log(100 * i, size) for i, size in enumerate(sizes)]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    expected = [row(part, i) for part in parts for i in range(len(part))]
    assert [row(whole, i) for i in range(len(whole))] == expected


def test_a_mask_keeps_the_rows_that_it_marks():
    log = numbered_log(0, 6)
    kept = log[log.clicks == 1.0]
    assert kept.rounds.tolist() == [0, 3]
    assert kept.products.tolist() == [2, 32]


def test_one_visit_of_many_has_its_own_round_user_and_uniform():
    visits = Visits(np.arange(3), np.array([7, 8, 9]), np.array([0.1, 0.2, 0.3]))
    one = visits[1]
    assert (one.rounds, one.users, one.uniforms) == (1, 8, 0.2)
    assert visits[1:].users.tolist() == [8, 9]


def test_records_cannot_be_reassigned():
    with pytest.raises(FrozenInstanceError):
        numbered_log(0, 2).clicks = np.ones(2)
    with pytest.raises(FrozenInstanceError):
        Visits(np.arange(1), np.arange(1), np.zeros(1)).users = np.ones(1)


def test_columns_of_unequal_length_are_refused_where_they_meet():
    columns = {name: np.zeros(4) for name in COLUMNS}
    for name in COLUMNS[1:]:
        with refuses(name):
            Log(**(columns | {name: np.zeros(3)}))
        with refuses(name):
            Log(**(columns | {name: 0.0}))
    with refuses("users"):
        Visits(np.arange(3), np.arange(2), np.zeros(3))
    with refuses("best"):
        Trace(np.zeros(3), np.zeros(3), np.zeros(3), np.zeros((3, 2)))


def test_lists_become_arrays_that_can_be_cut_and_joined():
    log = Log([0, 1, 2], [5, 6, 7], [1, 1, 0], [0.0, 1.0, 0.0], [0.5, 0.5, 1.0])
    assert len(log + log[1:]) == 5 and log[np.array([True, False, True])].users.tolist() == [5, 7]
    visit = Visits(3, 4, 0.25)
    assert (visit.rounds, visit.users, visit.uniforms) == (3, 4, 0.25)
    assert isinstance(visit.users, int)
