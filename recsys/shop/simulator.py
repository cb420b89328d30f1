"""The shop as time passes: visits, clicks, logs, shocks, drift and churn.

The click probability is known exactly, so regret is exact. Randomness comes in separate streams
that are indexed by the round, so two policies that choose the same product for the same visit get
the same click (common random numbers), and any round can be replayed.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from recsys import checks
from recsys.shop.records import Log, Visits
from recsys.shop.streams import HORIZON, Streams
from recsys.shop.world import (
    CATEGORIES,
    PERSONAS,
    Products,
    ShopConfig,
    Users,
    draw_products,
    draw_users,
    exposure,
    join,
    top_category,
)

LARGE_TABLE = 2**18  # click probabilities of every user for every product: 2 MB
NEW_TENURE = 0.1  # years: mean tenure of users who arrive later


class Shop:
    """A web shop with one recommendation slot (``def-click-model``).

    Parameters
    ----------
    config : ShopConfig
        The constants of the world.
    seed : int
        Seed of every stream. Equal seeds give equal shops.

    Notes
    -----
    ``now`` is the current round. ``visit`` and ``log`` move it; nothing else does. Users and
    products that enter later have the next free ids; ``n_users`` and ``n_products`` count all
    that ever exist, ``present_users`` and ``available`` say who is there at a round.
    """

    def __init__(self, config: ShopConfig | None = None, seed: int = 0) -> None:
        if config is not None and not isinstance(config, ShopConfig):
            raise ValueError(f"config: got {type(config).__name__}, expected a ShopConfig")
        self.config = config or ShopConfig()
        self._streams = Streams(seed)
        self.seed = self._streams.seed
        self.users: Users = draw_users(self.config.n_users, self.config, self._streams.rng("users"))
        self.products: Products = draw_products(
            self.config.n_products, self.config, self._streams.rng("products")
        )
        shape = (len(PERSONAS), len(CATEGORIES))
        self._phase = self._streams.rng("drift").uniform(0, 2 * np.pi, shape)  # (personas, C)
        self._user_entry = np.zeros(self.n_users, dtype=np.int64)
        self._entry = np.zeros(self.n_products, dtype=np.int64)
        self._exit = np.full(self.n_products, HORIZON)
        self._shocks: list[tuple[int, float, int, np.ndarray]] = []
        self._churns = 0  # how many have been announced
        self._epochs = [0]  # rounds at which the catalogue or the audience changes
        self.now = 0
        self._tabulate_affinities()

    @property
    def n_users(self) -> int:
        """Users that ever exist, those who arrive later included."""
        return len(self.users.persona)

    @property
    def n_products(self) -> int:
        """Products that ever exist, those that enter later included."""
        return len(self.products.category)

    def policy_rng(self, name: str) -> np.random.Generator:
        """Return the generator of a policy's own draws: a stream for each name."""
        return self._streams.policy_rng(name)

    # ------------------------------------------------------------------ who is there

    def present_users(self, round_: int) -> np.ndarray:
        """Return the mask (n_users,) of the users who may visit at ``round_``."""
        return self._user_entry <= checks.integer("round_", round_, 0)

    def visit_probabilities(self, round_: int) -> np.ndarray:
        """Return the probability (n_users,) that the visit of ``round_`` is each user's."""
        weight = self.users.activity * self.present_users(round_)
        return weight / weight.sum()

    def available(self, rounds: ArrayLike) -> np.ndarray:
        """Return the masks (..., n_products) of the products on sale at the rounds (...)."""
        rounds = checks.ids("rounds", rounds, HORIZON)[..., None]
        return (self._entry <= rounds) & (rounds < self._exit)

    def visits(self, start: int, n: int) -> Visits:
        """Return the visits of the rounds ``start`` to ``start + n - 1``; the clock stays.

        Visitors are drawn among the users present, in proportion to their activity.
        """
        start, n = checks.integer("start", start, 0), checks.integer("n", n, 1)
        rounds = np.arange(start, start + n)
        draws = self._streams.uniforms("arrivals", rounds)
        users = np.empty(n, dtype=np.int64)
        for rows in self.stable_parts(rounds):
            cumulative = np.cumsum(self.visit_probabilities(int(rounds[rows][0])))
            position = draws[rows] * cumulative[-1]
            users[rows] = np.searchsorted(cumulative, position, side="right")
        return Visits(rounds, users, self._streams.uniforms("clicks", rounds))

    def visit(self, t: int) -> Visits:
        """Return the visit of round ``t`` as scalars and set the clock to ``t``."""
        one = self.visits(t, 1)[0]
        self.now = int(t)
        return one

    def stable_parts(self, rounds: np.ndarray, longest: int = HORIZON) -> list[slice]:
        """Cut consecutive rounds where catalogue or audience changes, and after ``longest``."""
        start, stop = int(rounds[0]), int(rounds[-1]) + 1
        cuts = sorted({start, stop, *(e for e in self._epochs if start < e < stop)})
        parts = []
        for a, b in pairwise(cuts):
            size = min(longest, b - a)
            parts += [slice(c - start, min(c + size, b) - start) for c in range(a, b, size)]
        return parts

    # ------------------------------------------------------------------ clicks

    def click_probability(
        self, users: ArrayLike, products: ArrayLike, rounds: ArrayLike | None = None
    ) -> np.ndarray:
        """Return the exact probability of a click (``eq-click-model``).

        Parameters
        ----------
        users, products : integer arrays that broadcast against each other
        rounds : integer array that broadcasts against them, optional
            The time; the current round ``now`` where it is left out.

        Returns
        -------
        ndarray of the broadcast shape, in (0, 1)

        Raises
        ------
        ValueError
            If an id or a round is out of range, or the shapes do not fit together.
        """
        users = checks.ids("users", users, self.n_users)
        products = checks.ids("products", products, self.n_products)
        rounds = checks.ids("rounds", self.now if rounds is None else rounds, HORIZON)
        try:
            np.broadcast_shapes(users.shape, products.shape, rounds.shape)
        except ValueError as error:
            shapes = f"{users.shape}, {products.shape} and {rounds.shape}"
            raise ValueError(
                f"users, products, rounds: got shapes {shapes}, expected shapes that broadcast"
            ) from error
        category = self.products.category[products]
        log_affinity = self._log_affinity_of(users, category, rounds)
        price = self.users.price_sensitivity[users] * self.products.price[products]
        return expit(
            self.config.base_logit
            + self.config.affinity_weight * expit(log_affinity)  # liking / (1 + liking)
            + self.products.quality[products]
            - price
        )

    def click_probabilities(self, visits: Visits) -> np.ndarray:
        """Return the exact probabilities (visits, n_products) of a click on each product.

        Between two trends they depend on the user alone, so they are read from a table, unless
        tastes drift or the table would be a large one.
        """
        users = checks.ids("users", visits.users, self.n_users)
        rounds = checks.ids("rounds", visits.rounds, HORIZON)
        if self.config.drift_amplitude > 0 or self.n_users * self.n_products > LARGE_TABLE:
            products = np.arange(self.n_products)
            return self.click_probability(users[:, None], products, rounds[:, None])
        stages = self._stage(rounds)
        found = np.empty((len(users), self.n_products))
        for stage in np.unique(stages):
            rows = np.flatnonzero(stages == stage)
            found[rows] = self._table(int(stage)).take(users[rows], axis=0)
        return found

    def _table(self, stage: int) -> np.ndarray:
        """Return the click probabilities (n_users, n_products) after so many trends."""
        if stage not in self._tables:
            began = self._shocks[stage - 1][0] if stage else 0
            users, products = np.arange(self.n_users)[:, None], np.arange(self.n_products)
            self._tables[stage] = self.click_probability(users, products, began)
        return self._tables[stage]

    def _stage(self, rounds: np.ndarray) -> np.ndarray:
        """Return how many trends (...) there have been at the rounds (...)."""
        return np.searchsorted([at for at, *_ in self._shocks], rounds, side="right")

    def log_affinity(self, round_: int) -> np.ndarray:
        """Return the log-affinities (n_users, C) of all users for all categories at a round.

        Trends up to that round and the drift are in them; no feature shows them to a policy.
        """
        round_ = checks.integer("round_", round_, 0, HORIZON - 1)
        users = np.arange(self.n_users)[:, None]
        return self._log_affinity_of(users, np.arange(len(CATEGORIES)), np.asarray(round_))

    def _log_affinity_of(
        self, users: np.ndarray, category: np.ndarray, rounds: np.ndarray
    ) -> np.ndarray:
        """Return the log-affinities of users for categories at rounds, which broadcast."""
        stage = self._stage(rounds) if self._shocks else 0
        log_affinity = self._log_affinity[stage, users, category]
        if self.config.drift_amplitude > 0:
            angle = 2 * np.pi * rounds / self.config.drift_period
            phase = self._phase[self.users.persona[users], category]
            swing = np.sin(angle + phase) - np.sin(phase)  # no drift at round 0
            log_affinity = log_affinity + self.config.drift_amplitude * swing
        return log_affinity

    def clicks(self, visits: Visits, products: ArrayLike) -> np.ndarray:
        """Return 1.0 where the visit ends in a click on the product shown, else 0.0."""
        mu = self.click_probability(visits.users, products, visits.rounds)
        return (visits.uniforms < mu).astype(float)

    # ------------------------------------------------------------------ yesterday's policy

    def _exposure(self, round_: int) -> np.ndarray:
        """Propensities (C, n_products) of yesterday's policy, a row per top category."""
        return exposure(self.products, self._entry, self.available(round_), self.config)

    def logging_propensities(self, users: ArrayLike) -> np.ndarray:
        """Return what yesterday's policy shows to each user now: (n, n_products), rows sum to 1.

        The rule is ``world.exposure``; it uses observed features only.
        """
        users = checks.ids("users", users, self.n_users)
        return self._exposure(self.now)[top_category(self.users, users)]

    def log(self, n: int) -> Log:
        """Let yesterday's policy serve ``n`` visits from ``now`` on, and move the clock on."""
        n = checks.integer("n", n, 1)
        visits = self.visits(self.now, n)
        draws = self._streams.uniforms("logging", visits.rounds)
        products = np.empty(n, dtype=np.int64)
        propensities = np.empty(n)
        top = top_category(self.users, np.arange(self.n_users))[visits.users]  # (n,)
        for rows in self.stable_parts(visits.rounds):
            table = self._exposure(int(visits.rounds[rows][0]))
            cumulative = np.cumsum(table, axis=1)
            cumulative /= cumulative[:, -1:]
            # one search for all rows: the table of category c occupies the interval [c, c + 1)
            flat = (cumulative + np.arange(len(table))[:, None]).ravel()
            found = np.searchsorted(flat, draws[rows] + top[rows], side="right")
            products[rows] = found - top[rows] * self.n_products
            propensities[rows] = table[top[rows], products[rows]]
        clicks = self.clicks(visits, products)
        self.now += n
        return Log(visits.rounds, visits.users, products, clicks, propensities)

    # ------------------------------------------------------------------ a world that changes

    def shock(
        self,
        at: int,
        strength: float = 1.0,
        towards: str = "fish",
        personas: tuple[str, ...] = ("puppy parent", "budget shopper", "many-pet household"),
    ) -> None:
        """Let a trend reach some personas at round ``at``.

        Their liking for their favourite category and for ``towards`` change places: fully at
        ``strength`` 1, not at all at 0, in between on the log scale. Features do not change.
        """
        at = checks.integer("at", at, self.now, HORIZON - 1)
        strength = checks.number("strength", strength, 0.0, 1.0)
        target = CATEGORIES.index(checks.one_of("towards", towards, CATEGORIES))
        names = tuple(p.name for p in PERSONAS)
        affected = [names.index(checks.one_of("personas", name, names)) for name in personas]
        self._shocks.append((at, strength, target, np.array(affected, dtype=np.int64)))
        self._shocks.sort(key=lambda shock: shock[0])
        self._tabulate_affinities()

    def churn(self, at: int, n_products: int = 0, n_users: int = 0) -> None:
        """Let new products and users enter at round ``at``.

        As many products leave as enter, drawn at random from those on sale; users only arrive.
        Churns are announced in order of time.
        """
        at = checks.integer("at", at, max(self.now, self._epochs[-1]), HORIZON - 1)
        on_sale = np.flatnonzero(self.available(at))
        n_products = checks.integer("n_products", n_products, 0, len(on_sale) - 1)
        n_users = checks.integer("n_users", n_users, 0)
        rng = self._streams.rng("churn", self._churns)
        self._churns += 1
        self._exit[rng.choice(on_sale, size=n_products, replace=False)] = at
        self.products = join(self.products, draw_products(n_products, self.config, rng))
        self._entry = np.append(self._entry, np.full(n_products, at))
        self._exit = np.append(self._exit, np.full(n_products, HORIZON))
        self.users = join(self.users, draw_users(n_users, self.config, rng, NEW_TENURE))
        self._user_entry = np.append(self._user_entry, np.full(n_users, at))
        self._epochs = sorted({*self._epochs, at})
        self._tabulate_affinities()

    def _tabulate_affinities(self) -> None:
        """Log-affinities (1 + number of shocks, n_users, C): a table before and after each."""
        favourite = np.argmax([p.affinity for p in PERSONAS], axis=1)
        tables = [self.users.log_affinity]
        for _, strength, target, affected in self._shocks:
            table = tables[-1].copy()
            rows = np.flatnonzero(np.isin(self.users.persona, affected))
            best = favourite[self.users.persona[rows]]
            old, new = tables[-1][rows, best], tables[-1][rows, target]
            table[rows, best] = (1 - strength) * old + strength * new
            table[rows, target] = (1 - strength) * new + strength * old
            tables.append(table)
        self._log_affinity = np.stack(tables)
        self._tables: dict[int, np.ndarray] = {}  # click probabilities after so many trends
