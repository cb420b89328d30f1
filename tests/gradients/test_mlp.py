import numpy as np
import pytest
import torch
from torch import nn

from recsys.gradients.mlp import Scale, StackedLinear, take_apart
from recsys.gradients.rows import rows_for
from strategies import NOT_NUMBERS, refuses


class Twice(nn.Module):
    """A map of rows without parameters."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return each row twice, side by side."""
        return torch.cat([x, x], dim=-1)


def test_a_network_is_taken_apart():
    first, last = nn.Linear(4, 3, bias=False), nn.Linear(3, 1)
    mlp = take_apart(nn.Sequential(Twice(), first, nn.ReLU(), last, Scale(5.0)))
    assert len(mlp.inputs) == 1
    assert mlp.weights[0] is first.weight
    assert mlp.weights[1] is last.weight
    assert mlp.biases[0] is None
    assert mlp.biases[1] is last.bias
    assert mlp.scale == 5.0
    assert mlp.shapes == ((4, 3, False), (3, 1, True))
    assert mlp.worlds == ()
    assert take_apart(nn.Linear(2, 1)).shapes == ((2, 1, True),)
    stacked = nn.Sequential(StackedLinear(6, 2, 3), nn.ReLU(), StackedLinear(6, 3, 1, bias=False))
    assert take_apart(stacked).worlds == (6,)
    assert take_apart(stacked).shapes == ((2, 3, True), (3, 1, False))


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(),
        nn.Sequential(Scale(2.0)),
        nn.Sequential(nn.Linear(2, 2)),
        nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)),
        nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(4, 1)),
        nn.Sequential(StackedLinear(2, 2, 3), nn.ReLU(), StackedLinear(3, 3, 1)),
        nn.Sequential(StackedLinear(2, 2, 3), nn.ReLU(), nn.Linear(3, 1)),
        nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)),
        nn.Sequential(nn.Linear(2, 3), nn.ReLU()),
        nn.Sequential(nn.Linear(2, 1), nn.ReLU()),
        nn.Sequential(nn.ReLU(), nn.Linear(2, 1)),
        nn.Sequential(Scale(2.0), nn.Linear(2, 1), nn.ReLU(), Scale(2.0)),
        nn.Sequential(nn.LayerNorm(2), nn.Linear(2, 1)),
        nn.Tanh(),
    ],
    ids=str,
)
def test_other_networks_are_refused(model: nn.Module):
    with refuses("model"):
        take_apart(model)


def test_stacked_layers_are_a_layer_in_each_world():
    torch.manual_seed(0)
    for bias in (True, False):
        stacked, x = StackedLinear(3, 4, 2, bias), torch.randn(3, 5, 4)
        for value in stacked.parameters():
            nn.init.normal_(value)
        assert (stacked.bias is not None) == bias
        for world in range(3):
            b = stacked.bias[world] if bias else 0.0
            expected = x[world] @ stacked.weight[world].T + b
            assert torch.allclose(stacked(x)[world], expected, atol=1e-6)


def test_rows_come_in_the_models_dtype():
    for dtype in (torch.float32, torch.float64):
        model = nn.Linear(3, 1).to(dtype)
        for X in ([[1, 2, 3]], np.ones((4, 3)), torch.ones(2, 4, 3), torch.ones(2, 3).double()):
            assert rows_for(model, X).dtype == dtype
        trained = torch.ones(2, 3, requires_grad=True)
        assert not rows_for(model, trained).requires_grad


def test_rows_may_be_views():
    model, X = nn.Linear(3, 1), np.arange(12.0).reshape(4, 3)
    locked = X.copy()
    locked.flags.writeable = False
    for view in (locked, X[::-1], np.asfortranarray(X), np.broadcast_to(X[0], (4, 3))):
        assert np.array_equal(rows_for(model, view).numpy(), view)


def test_bad_rows_are_refused():
    model = nn.Linear(3, 1)
    bad = ["rows", None, [[1.0, 2.0], [3.0]], 1.0, [1.0, 2.0, 3.0], [[np.nan] * 3], [[1e200] * 3]]
    bad += [torch.ones(3), torch.full((2, 3), torch.inf), torch.ones(2, 3, dtype=torch.complex64)]
    bad += [torch.ones(2, 3, dtype=torch.bool), np.ones((2, 3), dtype=complex)]
    for X in bad:
        with refuses("X"):
            rows_for(model, X)
    with refuses("model"):
        rows_for(nn.ReLU(), np.ones((2, 3)))
    for value in (0.0, -1.0, *NOT_NUMBERS):
        with refuses("factor"):
            Scale(value)
