import numpy as np
import pytest
import torch

from recsys.baseline import ClickNetwork, with_borrowed_rows, with_fresh_rows
from strategies import refuses


def network(scale: float = 0.1) -> ClickNetwork:
    return ClickNetwork((4, 400), embedding_dim=16, hidden=(8,), embedding_scale=scale, seed=3)


def rows_of(model: ClickNetwork, column: int) -> np.ndarray:
    return model.embeddings[column].weight.detach().numpy().copy()


@pytest.mark.parametrize("scale", [0.1, 2.0])
def test_fresh_rows_have_the_spread_of_untrained_ones_and_no_other_row_moves(scale: float):
    model = network(scale)
    new = np.arange(100, 400)
    before = rows_of(model, 1)
    fresh = with_fresh_rows(model, new, seed=5)
    after = rows_of(fresh, 1)
    assert (rows_of(model, 1) == before).all()
    assert (after[:100] == before[:100]).all()
    assert (after[100:] != before[100:]).all()
    assert after[100:].std() == pytest.approx(scale, rel=0.05)
    assert abs(after[100:].mean()) < 0.1 * scale
    for name, value in fresh.state_dict().items():
        if not name.startswith("embeddings.1"):
            assert torch.equal(value, model.state_dict()[name])


def test_fresh_rows_follow_their_seed_and_the_worlds(monkeypatch: pytest.MonkeyPatch):
    model = network()
    one, same, other = (rows_of(with_fresh_rows(model, [7], s), 1)[7] for s in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).all()
    monkeypatch.setenv("RECSYS_WORLDS", "1")
    assert (rows_of(with_fresh_rows(model, [7], 0), 1)[7] == one).all()


def test_a_borrowed_row_is_the_mean_of_its_kind_or_of_what_shares_its_first_attributes():
    model = ClickNetwork((7,), embedding_dim=2, hidden=(4,))
    table = model.embeddings[0].weight
    with torch.no_grad():
        table[:] = torch.tensor([[1, 0], [3, 0], [10, 2], [0, 8], [9, 9], [9, 9], [9, 9]])
    kinds = [[0, 0.5], [0, 0.5], [0, 1.0], [1, 0.5], [0, 0.5], [1, 0.0], [2, 0.5]]
    lent = rows_of(with_borrowed_rows(model, [4, 5, 6], np.arange(4), kinds), 0)
    assert lent[4] == pytest.approx([2, 0])  # 0 and 1 are of its kind
    assert lent[5] == pytest.approx([0, 8])  # the price is another, the category that of 3
    assert lent[6] == pytest.approx([3.5, 2.5])  # of a category that nobody has: the mean of all
    assert (rows_of(model, 0)[4:] == 9).all()
    assert lent[:4] == pytest.approx(rows_of(model, 0)[:4])


def test_rows_of_a_column_are_changed_that_is_named():
    model = network()
    fresh = with_fresh_rows(model, [2], seed=0, column=0)
    assert (rows_of(fresh, 0)[2] != rows_of(model, 0)[2]).all()
    assert (rows_of(fresh, 1) == rows_of(model, 1)).all()


def test_what_does_not_fit_is_refused():
    model = network()
    with refuses("ids", "400"):
        with_fresh_rows(model, [400], seed=0)
    with refuses("seed", "-1"):
        with_fresh_rows(model, [1], seed=-1)
    with refuses("column", "2"):
        with_fresh_rows(model, [1], seed=0, column=2)
    with refuses("model"):
        with_fresh_rows(ClickNetwork((), 3), [0], seed=0)
    with refuses("known"):
        with_borrowed_rows(model, [1], [], np.zeros((400, 1)))
    with refuses("kinds"):
        with_borrowed_rows(model, [1], [0], np.zeros((3, 1)))
