"""The step that is written out, beside the same step by autograd and torch.optim.AdamW."""

import numpy as np
import pytest
import torch
from torch import nn

from recsys.baseline import Training, course, train
from recsys.baseline.click_network import ClickNetwork
from recsys.baseline.closed_form import ClosedFormStep, is_plain
from strategies import SMALL, example_rows, snapshot

SHAPES = [
    SMALL,
    {**SMALL, "hidden": ()},
    {**SMALL, "hidden": (5,), "embedding_dim": 1},
    {**SMALL, "vocabularies": (7, 4), "n_features": 0},
    {**SMALL, "vocabularies": (), "n_features": 5},
]


def rows_for(shape: dict, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    columns = [rng.integers(0, size, n) for size in shape["vocabularies"]]
    features = rng.normal(size=(shape["n_features"], n))
    rows = np.stack([*columns, *features], axis=1)
    return rows, (rng.random(n) < 0.3).astype(float)


def both(shape: dict, monkeypatch: pytest.MonkeyPatch, **settings: object) -> list[tuple]:
    """Train one network by the closed form and its twin by autograd."""
    rows, clicks = rows_for(shape, 500)
    found = []
    for plain in (is_plain, lambda model: False):
        monkeypatch.setattr(course, "is_plain", plain)
        model = ClickNetwork(**shape, seed=3)
        found.append((model, train(model, rows, clicks, Training(**settings))))
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=["whole", "flat", "narrow", "ids", "features"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_closed_form_and_autograd_train_the_same_network(
    shape: dict, decay: float, monkeypatch: pytest.MonkeyPatch
):
    assert is_plain(ClickNetwork(**shape))
    (model, history), (twin, expected) = both(
        shape, monkeypatch, epochs=4, batch_size=64, weight_decay=decay, patience=4
    )
    assert history.training == pytest.approx(expected.training, rel=1e-5)
    assert history.validation == pytest.approx(expected.validation, rel=1e-5)
    for new, old in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(new, old, rtol=1e-4, atol=1e-5)
        assert not torch.equal(new, torch.zeros_like(new))


def test_one_step_changes_nothing_but_the_parameters():
    rows, clicks = example_rows(40)
    model = ClickNetwork(**SMALL)
    identifiers, features = model.split(rows)
    target = torch.as_tensor(clicks, dtype=torch.float32)
    before = snapshot((identifiers, features, target))
    step = ClosedFormStep([model], 1e-2, 0.0)
    logits = model(identifiers, features).detach()
    expected = float(nn.functional.binary_cross_entropy_with_logits(logits, target))
    loss = step(identifiers[None], features[None], target[None])
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    assert snapshot((identifiers, features, target)) == before
    assert all(value.requires_grad and value.grad is None for value in model.parameters())


class Doubled(ClickNetwork):
    """A network of somebody's own: its scores are not those of the parts that it is made of."""

    def forward(self, identifiers: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return twice the logits."""
        return 2.0 * super().forward(identifiers, features)


def frozen() -> ClickNetwork:
    model = ClickNetwork(**SMALL)
    model.mlp[0].weight.requires_grad_(False)
    return model


def with_dropout() -> ClickNetwork:
    model = ClickNetwork(**SMALL)
    model.mlp.insert(2, nn.Dropout(0.5))
    return model


def with_a_tied_layer() -> ClickNetwork:
    model = ClickNetwork(**{**SMALL, "hidden": (6, 6, 6)})
    model.mlp[4].weight = model.mlp[2].weight
    return model


def with_padding() -> ClickNetwork:
    model = ClickNetwork(**SMALL)
    model.embeddings[1] = nn.Embedding(4, SMALL["embedding_dim"], padding_idx=0)
    return model


@pytest.mark.parametrize(
    "make",
    [frozen, with_dropout, with_a_tied_layer, with_padding, lambda: Doubled(**SMALL)],
    ids=["frozen", "dropout", "tied", "padding", "subclass"],
)
def test_a_network_of_another_form_is_trained_by_autograd(make: object):
    model = make()
    assert not is_plain(model)
    rows, clicks = example_rows(60)
    before = model.mlp[0].weight.detach().clone()
    train(model, rows, clicks, Training(epochs=2))
    assert torch.equal(before, model.mlp[0].weight) == (make is frozen)
