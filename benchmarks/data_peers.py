"""The usual ways to make a log and to train on it: a loop over rows, and torch's data loaders."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset

from recsys.baseline.click_network import ClickNetwork
from recsys.baseline.training import Training
from recsys.shop.simulator import Shop
from recsys.shop.streams import Streams


class RowByRow:
    """A log made visit by visit, from the same public truth.

    What does not depend on the visit is made beforehand and not timed: who visits how often,
    yesterday's propensities for each user, their cumulative sums, and the random numbers.

    Parameters
    ----------
    shop : Shop
        A shop without shocks, drift or newcomers.
    n : int
        Number of visits.
    """

    def __init__(self, shop: Shop, n: int) -> None:
        self.shop, self.n = shop, n
        self.config, self.users, self.products = shop.config, shop.users, shop.products
        self.visiting = shop.visit_probabilities(shop.now)  # (users,)
        self.arriving = np.cumsum(self.visiting)
        self.propensities = shop.logging_propensities(np.arange(shop.n_users))  # (users, K)
        self.showing = np.cumsum(self.propensities, axis=1)
        streams, rounds = Streams(shop.seed), shop.now + np.arange(n)
        self.arrivals, self.shows, self.coins = (
            streams.uniforms(name, rounds) for name in ("arrivals", "logging", "clicks")
        )

    def mu(self, user: int, product: int) -> float:
        """Return the probability of a click, by NumPy on single numbers."""
        users, products, config = self.users, self.products, self.config
        affinity = users.log_affinity[user, products.category[product]]
        logit = (
            config.base_logit
            + config.affinity_weight / (1 + np.exp(-affinity))
            + products.quality[product]
            - users.price_sensitivity[user] * products.price[product]
        )
        return 1 / (1 + np.exp(-logit))

    def by_numpy(self) -> list[tuple]:
        """Return (user, product, click, propensity) of each visit; it searches in sorted sums."""
        rows = []
        for t in range(self.n):
            user = np.searchsorted(self.arriving, self.arrivals[t] * self.arriving[-1], "right")
            sums = self.showing[user]
            product = np.searchsorted(sums, self.shows[t] * sums[-1], "right")
            click = float(self.coins[t] < self.mu(user, product))
            rows.append((user, product, click, self.propensities[user, product]))
        return rows

    def by_choice(self) -> list[tuple]:
        """Return the same, but with ``Generator.choice``, so other visitors and products."""
        rows, rng = [], np.random.default_rng(0)
        everybody, on_sale = self.shop.n_users, self.shop.n_products
        for t in range(self.n):
            user = rng.choice(everybody, p=self.visiting)
            product = rng.choice(on_sale, p=self.propensities[user])
            click = float(self.coins[t] < self.mu(user, product))
            rows.append((user, product, click, self.propensities[user, product]))
        return rows


class PlainRows:
    """The same loop without NumPy: lists, ``bisect`` and ``math``, all converted beforehand."""

    def __init__(self, loop: RowByRow) -> None:
        self.columns = [
            column.tolist()
            for column in (
                *(loop.arriving, loop.showing, loop.propensities),
                *(loop.users.log_affinity, loop.users.price_sensitivity),
                *(loop.products.category, loop.products.quality, loop.products.price),
            )
        ]
        self.draws = [draws.tolist() for draws in (loop.arrivals, loop.shows, loop.coins)]
        self.constants = loop.config.base_logit, loop.config.affinity_weight

    def mus(self, users: list[int], products: list[int]) -> list[float]:
        """Return the probabilities of a click for pairs."""
        *_, affinity, sensitivity, category, quality, price = self.columns
        base, weight = self.constants
        found = []
        for user, product in zip(users, products, strict=True):
            logit = base + weight / (1 + math.exp(-affinity[user][category[product]]))
            logit += quality[product] - sensitivity[user] * price[product]
            found.append(1 / (1 + math.exp(-logit)))
        return found

    def rows(self) -> list[tuple]:
        """Return (user, product, click, propensity) of each visit."""
        arriving, showing, propensities, affinity, sensitivity, *of_products = self.columns
        category, quality, price = of_products
        (base, weight), rows = self.constants, []
        for arrival, show, coin in zip(*self.draws, strict=True):
            user = bisect_right(arriving, arrival * arriving[-1])
            sums = showing[user]
            product = bisect_right(sums, show * sums[-1])
            logit = base + weight / (1 + math.exp(-affinity[user][category[product]]))
            logit += quality[product] - sensitivity[user] * price[product]
            click = float(coin < 1 / (1 + math.exp(-logit)))
            rows.append((user, product, click, propensities[user][product]))
        return rows


class Rows(Dataset):
    """Arrays of which each row is made into tensors when it is asked for, as tutorials do."""

    def __init__(self, *columns: torch.Tensor) -> None:
        self.columns = [column.numpy() for column in columns]

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, i: int) -> tuple[torch.Tensor, ...]:
        return tuple(torch.as_tensor(column[i]) for column in self.columns)


class SameOrder(Sampler):
    """Rows in the order in which ``recsys.training.train`` takes them, a new one each epoch."""

    def __init__(self, n: int, seed: int) -> None:
        self.n, self.generator = n, torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        yield from torch.randperm(self.n, generator=self.generator).tolist()


def train_by_loader(
    model: ClickNetwork,
    contexts: np.ndarray,
    clicks: np.ndarray,
    training: Training,
    dataset: type[Dataset] = TensorDataset,
) -> list[float]:
    """Train as ``train`` does without held-out rows, but by a DataLoader; return the mean losses.

    The optimiser is AdamW as torch makes it by default.
    """
    identifiers, features = model.split(contexts)
    target = torch.as_tensor(clicks, dtype=torch.float32)
    loader = DataLoader(
        dataset(identifiers, features, target),
        batch_size=training.batch_size,
        sampler=SameOrder(len(target), training.seed),
    )
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    loss_of, losses = nn.BCEWithLogitsLoss(), []
    for _ in range(training.epochs):
        total = 0.0
        for ids, numbers, labels in loader:
            loss = loss_of(model(ids, numbers), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(labels)
        losses.append(total / len(target))
    return losses
