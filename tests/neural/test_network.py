import numpy as np
import pytest
import torch
from scipy import stats

from recsys.gradients.jacobian import per_arm_gradients
from recsys.gradients.mlp import take_apart
from recsys.neural.network import Doubled, UnitRows, score_network
from strategies import NOT_NUMBERS, refuses

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("hidden", [(8,), (6, 10), (4, 4, 4)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("worlds", [None, 3])
def test_the_papers_network_starts_at_zero_with_gradients_that_do_not_vanish(
    hidden: tuple, bias: bool, worlds: int | None
):
    model = score_network(5, hidden, bias=bias, n_worlds=worlds, seed=1)
    X = torch.from_numpy(RNG.standard_normal((*(() if worlds is None else (worlds,)), 20, 5)))
    assert model(X).shape == (*X.shape[:-1], 1)
    assert model(X).abs().max() < 1e-14
    if worlds is None:
        assert (per_arm_gradients(model, X).norm(dim=1) > 0).any()
    mlp = take_apart(model)
    assert [h for _, h, _ in mlp.shapes] == [*hidden, 1]
    assert mlp.shapes[0][0] == 10  # every feature twice
    assert all(biased == bias for _, _, biased in mlp.shapes)
    assert mlp.scale == pytest.approx(np.sqrt(hidden[-1]))


def test_weights_are_block_symmetric_with_the_papers_variances():
    model = score_network(60, (200, 300), seed=2)
    first, second, last = (weight.detach().numpy() for weight in take_apart(model).weights)
    for weight, variance in ((first, 4 / 200), (second, 4 / 300)):
        h, w = weight.shape[0] // 2, weight.shape[1] // 2
        assert np.array_equal(weight[:h, :w], weight[h:, w:])
        assert (weight[:h, w:] == 0).all()
        assert (weight[h:, :w] == 0).all()
        drawn = weight[:h, :w].ravel() / np.sqrt(variance)
        assert stats.kstest(drawn, "norm").pvalue > 1e-3
    assert np.array_equal(last[0, :150], -last[0, 150:])
    assert stats.kstest(last[0, :150] / np.sqrt(2 / 300), "norm").pvalue > 1e-3


def test_the_network_is_the_papers_formula():
    model = score_network(3, (4, 6), seed=3)
    W1, W2, W3 = (weight.detach().numpy() for weight in take_apart(model).weights)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1  # f(x; θ₀) would be zero
    x = np.array([3.0, -1.0, 2.0])
    unit = x / np.sqrt(14.0)
    twice = np.concatenate([unit, unit]) / np.sqrt(2.0)
    hidden = np.maximum(W2 @ np.maximum(W1 @ twice, 0), 0)  # W share the memory of the parameters
    expected = np.sqrt(6) * (W3 @ hidden)
    assert model(torch.tensor(x[None]))[0].detach().numpy() == pytest.approx(expected)


def test_the_other_initialisation_is_torchs():
    model = score_network(50, (80,), init="torch", bias=True, output_scale="one", unit_rows=False)
    ours = [value.detach().numpy().ravel() for value in model.parameters()]
    theirs = []
    for seed in range(20):
        torch.manual_seed(seed)
        layers = [torch.nn.Linear(50, 80), torch.nn.Linear(80, 1)]
        theirs.append([v.detach().numpy().ravel() for m in layers for v in m.parameters()])
    for mine, every in zip(ours, zip(*theirs, strict=True), strict=True):
        if len(mine) > 1:
            assert stats.ks_2samp(mine, np.concatenate(every)).pvalue > 1e-3
    X = torch.from_numpy(RNG.standard_normal((4, 50)))
    assert (model(X) != 0).all()
    assert take_apart(model).inputs == ()
    assert take_apart(model).scale == 1.0
    assert torch.allclose(model(X), model[2](model[0](X).relu()))


def test_a_seed_makes_one_network_and_leaves_the_global_generator_alone():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    networks = [score_network(3, (4,), seed=seed) for seed in (5, 5, 6)]
    same, again, other = (take_apart(m).weights[0] for m in networks)
    assert torch.equal(same, again)
    assert not torch.equal(same, other)
    stacked = score_network(3, (4,), seed=5, n_worlds=2)
    assert torch.equal(take_apart(stacked).weights[0], torch.stack([same, other]))
    assert torch.equal(torch.get_rng_state(), before)
    assert score_network(3, (4,), dtype=torch.float32)(torch.ones(2, 3)).dtype == torch.float32


def test_maps_of_rows():
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]])
    assert torch.equal(UnitRows()(rows), torch.tensor([[0.6, 0.8], [0.0, 0.0], [0.0, -1.0]]))
    assert torch.allclose(Doubled()(rows) * 2**0.5, rows.repeat(1, 2))
    assert torch.allclose(Doubled()(rows).norm(dim=1), rows.norm(dim=1))
    assert UnitRows()(rows.expand(4, 3, 2)).shape == (4, 3, 2)


def test_settings_outside_their_range_are_refused():
    for value in (0, -1, 2.0, *NOT_NUMBERS):
        with refuses("n_features"):
            score_network(value)
        with refuses("hidden"):
            score_network(3, (4, value))
        with refuses("n_worlds"):
            score_network(3, n_worlds=0 if value is None else value)
    for value in ((), 4, None, "4", (3,), (4, 5)):
        with refuses("hidden"):
            score_network(3, value)
    assert score_network(3, (3,), init="torch")(torch.ones(1, 3).double()).shape == (1, 1)
    for value in (-1, 2.0, *NOT_NUMBERS):
        with refuses("seed"):
            score_network(3, seed=value)
    for name in ("init", "output_scale"):
        with refuses(name):
            score_network(3, **{name: "other"})
