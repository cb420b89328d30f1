"""Small worlds, hypothesis settings and the check that a refused call changes nothing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from scipy import stats

from recsys.policies.base import ScoringPolicy
from recsys.shop.simulator import Shop
from recsys.shop.world import ShopConfig

# Examples are derived from the test's own source, so a run is as reproducible as the book.
modest = settings(deadline=None, max_examples=60, derandomize=True, database=None)
few = settings(deadline=None, max_examples=20, derandomize=True, database=None)

torch.set_num_threads(1)  # tiny networks: threads of a busy machine wait for each other

NOT_NUMBERS = (True, "1", None, float("nan"), float("inf"), [1], 1j)


def small_shop(seed: int = 0, n_users: int = 60, n_products: int = 12, **constants: float) -> Shop:
    """Return a shop that is cheap to make and still has every persona and category."""
    return Shop(ShopConfig(n_users=n_users, n_products=n_products, **constants), seed)


SMALL = {"vocabularies": (7, 4), "n_features": 2, "embedding_dim": 3, "hidden": (5, 4)}


def example_rows(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return context rows for ``SMALL`` and clicks that depend on both ids and a feature."""
    rng = np.random.default_rng(seed)
    users, products = rng.integers(0, 7, n), rng.integers(0, 4, n)
    features = rng.standard_normal((n, 2))
    logit = -1.0 + 2.0 * ((users + products) % 2) + features[:, 0]
    clicks = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    return np.column_stack([users, products, features]), clicks


def z_score(clicks: np.ndarray, mu: np.ndarray) -> float:
    """Return how many standard deviations a sum of Bernoulli draws is from its expectation."""
    return float((clicks.sum() - mu.sum()) / np.sqrt((mu * (1 - mu)).sum()))


def snapshot(thing: Any) -> Any:  # noqa: ANN401
    """Return a comparable deep copy of an object's state; what is only a cache is no state."""
    if isinstance(thing, np.ndarray):
        return ("array", str(thing.dtype), thing.shape, thing.tobytes())
    if isinstance(thing, torch.Tensor):
        return ("tensor", str(thing.dtype), thing.shape, thing.detach().cpu().numpy().tobytes())
    if isinstance(thing, np.random.Generator):
        return ("generator", snapshot(thing.bit_generator.state))
    if isinstance(thing, torch.nn.Module):
        settings = getattr(thing, "settings", None)
        return ("module", snapshot(dict(thing.state_dict())), snapshot(settings))
    if isinstance(thing, Mapping):
        return tuple((repr(key), snapshot(value)) for key, value in thing.items())
    if isinstance(thing, list | tuple):
        return tuple(snapshot(value) for value in thing)
    if is_dataclass(thing):
        return tuple((f.name, snapshot(getattr(thing, f.name))) for f in fields(thing))
    if isinstance(thing, np.random.SeedSequence):
        return ("seeds", repr(thing))
    if hasattr(thing, "__dict__"):
        state = {k: v for k, v in vars(thing).items() if k not in ("_drawn", "_matrices")}
        return (type(thing).__name__, snapshot(state))
    return repr(thing)


@contextmanager
def refuses(argument: str, *unchanged: object) -> Iterator[None]:
    """Expect a ``ValueError`` that names the argument and leaves the objects as they were."""
    before = snapshot(unchanged)
    with pytest.raises(ValueError, match=rf"(?<!\w){argument}(?!\w)"):
        yield
    assert snapshot(unchanged) == before, f"a call refused for its {argument} changed the state"


class ByContext(ScoringPolicy):
    """Scores are the first context column: no ties where the contexts have none."""

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return the first column (..., K)."""
        return contexts[..., 0]


def random_mlp(
    rng: np.random.Generator, depth: int, d: int | None = None, dtype: torch.dtype = torch.float64
) -> torch.nn.Sequential:
    """Return an MLP of ``depth`` linear layers of random widths, each with or without a bias."""
    widths = [int(w) for w in rng.integers(1, 7, depth)] + [1]
    widths[0] = d or widths[0]
    modules: list[torch.nn.Module] = []
    for h_in, h_out in pairwise(widths):
        linear = torch.nn.Linear(h_in, h_out, bias=bool(rng.integers(2)))
        with torch.no_grad():
            for value in linear.parameters():
                value.copy_(torch.from_numpy(rng.standard_normal(value.shape)))
        modules += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*modules[:-1]).to(dtype)


def plain_gradients(model: torch.nn.Module, X: torch.Tensor) -> torch.Tensor:
    """Return the gradient of each row's score by plain autograd, one backward pass a row."""
    rows = []
    for x in X:
        model.zero_grad(set_to_none=True)
        model(x[None]).sum().backward()
        rows.append(torch.cat([value.grad.flatten() for value in model.parameters()]).clone())
    model.zero_grad(set_to_none=True)
    return torch.stack(rows)


def rewards_by_hand(shop: Shop, arms: np.ndarray, start: int) -> list[float]:
    """Return the click of each round, one at a time, from the visit's uniform and the truth."""
    out = []
    for i, arm in enumerate(arms):
        visit = shop.visits(start + i, 1)[0]
        mu = shop.click_probability(visit.users, int(arm), start + i)
        out.append(1.0 if visit.uniforms < mu else 0.0)
    return out


def refuses_bad_feedback(policy: object, worlds: int | None, no_arms: tuple[int, ...] = ()) -> None:
    """Expect ``update`` of a policy on 3 features to refuse arms, rows and rewards that are none.

    ``no_arms`` are numbers beyond the arms of the policy, where it has a number of arms.
    """
    lead = () if worlds is None else (worlds,)
    arm, row, reward = np.full(lead, 2), np.ones((*lead, 3)), np.ones(lead)
    for wrong in (-1, 1.0, True, np.nan, *no_arms):
        with refuses("arm", policy):
            policy.update(np.full(lead, wrong), row, reward)
    for wrong in (None, "0", [1, 2, 3], [[0, 1]], 2 if worlds else [2]):
        with refuses("arm", policy):
            policy.update(wrong, row, reward)
    for wrong in (np.nan, np.inf, -np.inf, 1e200):
        values = np.where(np.arange(worlds or 1) == (worlds or 1) - 1, wrong, 1.0).reshape(lead)
        with refuses("reward", policy):
            policy.update(arm, row, values)
        rows = row.copy()
        rows[..., 2] = wrong
        with refuses("context", policy):
            policy.update(arm, rows, reward)
    for wrong in (None, "1.0.0", [1.0, 1.0, 1.0], [[1.0, 1.0]]):
        with refuses("reward", policy):
            policy.update(arm, row, wrong)
    for shape in ((), (2,), (4,), (5, 3), (0,)):
        with refuses("context", policy):
            policy.update(arm, np.ones((*lead, *shape)), reward)


def states_what_it_shows(policy: object, mask: np.ndarray, n: int = 20_000) -> None:
    """Expect a policy on 5 arms to show each as often as the probability that it states."""
    rows = np.random.default_rng(3).standard_normal((5, 3))
    stated = policy.probabilities(rows, mask)
    counts = np.bincount(policy.select(np.tile(rows, (n, 1, 1)), mask), minlength=5)
    assert stated.sum() == pytest.approx(1.0)
    assert (counts[~mask] == stated[~mask]).all()
    assert stats.chisquare(counts[mask], n * stated[mask]).pvalue > 1e-3


def never_shows_what_is_off_sale(policy: object, data: st.DataObject, worlds: int | None) -> None:
    """Expect a policy on 5 arms and 3 features to show only arms of a drawn mask."""
    shape = () if worlds is None else (worlds,)
    masks = st.lists(st.booleans(), min_size=5, max_size=5).filter(any)
    mask = np.array([data.draw(masks) for _ in range(worlds or 1)]).reshape(*shape, 5)
    rows = np.random.default_rng(3).standard_normal((*shape, 5, 3))
    for _ in range(5):
        arms = np.asarray(policy.select(rows, mask))
        assert np.take_along_axis(mask, arms[..., None], axis=-1).all()
    assert (policy.probabilities(rows, mask)[~mask] == 0).all()
