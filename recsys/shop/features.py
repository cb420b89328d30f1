"""What a policy is allowed to see of a visit: featurizers.

A featurizer turns visits into context rows. ``rows`` makes one row for each pair of a user and a
product (training rows for a log); calling the featurizer makes what ``policy.select`` takes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recsys import checks, worlds
from recsys.shop.records import Visits
from recsys.shop.simulator import Shop
from recsys.shop.streams import HORIZON
from recsys.shop.world import PRODUCT_FEATURES, USER_FEATURES

CODE = 16  # numbers in a product's code


class Featurizer:
    """Base of the featurizers: a context row per arm, one arm for each product id.

    Parameters
    ----------
    shop : Shop
        The shop whose visits are described.
    """

    depends_on_time = False  # whether a user's contexts change from round to round
    vocabularies: tuple[int, ...] = ()  # sizes of the id columns, which come first in a row
    n_features = 0  # number of feature columns, which follow

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def rows(self, users: ArrayLike, products: ArrayLike, rounds: ArrayLike) -> np.ndarray:
        """Return the context rows (..., d) of pairs; the arguments broadcast.

        Raises
        ------
        ValueError
            If an id is out of range, or a round is none.
        """
        users = checks.ids("users", users, self.shop.n_users)
        products = checks.ids("products", products, self.shop.n_products)
        rounds = checks.ids("rounds", rounds, HORIZON)
        return self._rows(*np.broadcast_arrays(users, products), rounds)

    def _rows(self, users: np.ndarray, products: np.ndarray, rounds: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def __call__(self, visits: Visits) -> np.ndarray:
        """Return the contexts (..., K, d) of the visits, a row for each product id."""
        users = np.asarray(visits.users)[..., None]
        rounds = np.asarray(visits.rounds)[..., None]
        return self.rows(users, np.arange(self.shop.n_products), rounds)


class Identifiers(Featurizer):
    """Rows (user id, product id): all that the embedding model sees."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        self.vocabularies = (shop.n_users, shop.n_products)

    def _rows(self, users: np.ndarray, products: np.ndarray, rounds: np.ndarray) -> np.ndarray:
        return np.stack([users, products], axis=-1).astype(float)


class ObservedFeatures(Featurizer):
    """Rows (product id, user features): what a disjoint linear bandit knows, for parity."""

    n_features = len(USER_FEATURES)

    def __init__(self, shop: Shop) -> None:
        super().__init__(shop)
        self.vocabularies = (shop.n_products,)

    def _rows(self, users: np.ndarray, products: np.ndarray, rounds: np.ndarray) -> np.ndarray:
        features = self.shop.users.features[users]
        return np.concatenate([products[..., None].astype(float), features], axis=-1)


class JointFeatures(Featurizer):
    """Rows (user features, product features): no id at all, so nothing is ever unknown."""

    n_features = len(USER_FEATURES) + len(PRODUCT_FEATURES)

    def _rows(self, users: np.ndarray, products: np.ndarray, rounds: np.ndarray) -> np.ndarray:
        table, n = self._product_features(), len(USER_FEATURES)
        rows = np.empty((*users.shape, n + table.shape[1]))
        rows[..., :n] = self.shop.users.features[users]
        rows[..., n:] = table[products]
        return rows

    def _product_features(self) -> np.ndarray:
        """Return what a row says of each product (n_products, ...)."""
        return self.shop.products.features


class CodedFeatures(JointFeatures):
    """Rows (user features, product features, the product's code): who a product is, in few numbers.

    Without a code two products of one category and one price are the same. A code is ``CODE``
    random signs over √``CODE``, a random projection of the id and related to feature hashing
    (Weinberger et al. 2009): of length 1, nearly orthogonal to other codes, fixed for each id, and
    as long for a thousand products as for fifty.
    """

    n_features = JointFeatures.n_features + CODE

    def _product_features(self) -> np.ndarray:
        signs = worlds.generator(0).choice([-1.0, 1.0], (self.shop.n_products, CODE))
        return np.concatenate([self.shop.products.features, signs / np.sqrt(CODE)], axis=1)


class CrossedFeatures(CodedFeatures):
    """Rows (each user feature times each product feature, user features, the product's code).

    What an engineer writes down who knows that a cat's owner wants cat food: a linear model on
    these rows ranks the products differently for different users.
    """

    n_features = len(USER_FEATURES) * (len(PRODUCT_FEATURES) + 1) + CODE

    def _rows(self, users: np.ndarray, products: np.ndarray, rounds: np.ndarray) -> np.ndarray:
        who, what = self.shop.users.features[users], self._product_features()[products]
        n = len(PRODUCT_FEATURES)
        crossed = who[..., :, None] * what[..., None, :n]
        return np.concatenate([crossed.reshape(*users.shape, -1), who, what[..., n:]], axis=-1)


class Truth(Featurizer):
    """Rows (click probability,): what only the oracle may see."""

    depends_on_time = True
    n_features = 1

    def _rows(self, users: np.ndarray, products: np.ndarray, rounds: np.ndarray) -> np.ndarray:
        return self.shop.click_probability(users, products, rounds)[..., None]


class SharedUserFeatures(Featurizer):
    """One row of user features that all arms share: contexts of shape (..., d), not (..., K, d)."""

    n_features = len(USER_FEATURES)

    def _rows(self, users: np.ndarray, products: np.ndarray, rounds: np.ndarray) -> np.ndarray:
        return self.shop.users.features[users]

    def __call__(self, visits: Visits) -> np.ndarray:
        """Return the shared contexts (..., 9) of the visits."""
        return self.shop.users.features[np.asarray(visits.users)]
