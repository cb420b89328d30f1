"""Who lives in the shop: personas, users and products, drawn once from the shop's seed.

Everything here is hidden from a policy except the arrays called ``features``. Symbols in comments
are those of the book's notation page.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from recsys import checks

CATEGORIES = ("dog", "cat", "fish", "bird", "small pet")
PRICE_TIERS = ("budget", "standard", "premium")
USER_FEATURES = ("constant", *CATEGORIES, "basket", "mobile", "tenure")
PRODUCT_FEATURES = (*CATEGORIES, "price")


@dataclass(frozen=True)
class Persona:
    """A latent type of visitor: what the type likes on average, and how it reacts to price."""

    name: str
    share: float  # fraction of the users
    affinity: tuple[float, ...]  # (C,) mean liking of each category, > 0
    price_sensitivity: float  # logits lost per unit of price level; negative: likes premium
    mobile: float  # probability of visiting on a phone


PERSONAS = (
    Persona("puppy parent", 0.24, (4.0, 0.3, 0.15, 0.15, 0.3), 0.8, 0.75),
    Persona("cat connoisseur", 0.22, (0.2, 4.5, 0.15, 0.3, 0.2), -0.6, 0.45),
    Persona("budget shopper", 0.20, (1.4, 1.4, 0.5, 0.4, 0.8), 2.6, 0.65),
    Persona("fish hobbyist", 0.12, (0.15, 0.2, 5.0, 0.3, 0.2), 0.3, 0.30),
    Persona("bird keeper", 0.08, (0.2, 0.1, 0.3, 4.5, 0.4), 0.6, 0.35),
    Persona("many-pet household", 0.14, (1.2, 1.2, 0.6, 0.6, 2.5), 1.2, 0.55),
)


@dataclass(frozen=True)
class ShopConfig:
    """The constants of the shop. All are checked; see ``Shop`` for what they do.

    Raises
    ------
    ValueError
        If a constant is outside its range.
    """

    n_users: int = 1_000
    n_products: int = 50
    base_logit: float = -4.9  # logit of a click for no liking, average quality, lowest price
    affinity_weight: float = 3.5  # logits gained by a fully saturated liking
    individual_spread: float = 0.5  # standard deviation of a user's log-affinities
    quality_spread: float = 0.5  # standard deviation of the hidden quality, in logits
    purchases_per_year: float = 4.0  # mean past purchases that the features count
    basket_noise: float = 0.25  # noise of the observed basket price level
    zipf_exponent: float = 1.2  # how unequal yesterday's exposure is
    category_boost: float = 4.0  # yesterday's extra weight for the visitor's top category
    log_exploration: float = 0.02  # share of impressions that yesterday drew uniformly
    drift_amplitude: float = 0.0  # amplitude of the slow change of log-affinities
    drift_period: int = 50_000  # rounds of a full drift cycle

    def __post_init__(self) -> None:
        for name, minimum in (("n_users", 1), ("n_products", 2), ("drift_period", 2)):
            checks.integer(name, getattr(self, name), minimum)
        for name in ("base_logit", "affinity_weight"):
            checks.number(name, getattr(self, name), -30.0, 30.0)
        for field in fields(self):
            if field.name.endswith(("_spread", "_noise", "_exponent", "_boost", "_amplitude")):
                checks.number(field.name, getattr(self, field.name), 0.0, 30.0)
        checks.number("purchases_per_year", self.purchases_per_year, 0.0, 1e3)
        checks.number("log_exploration", self.log_exploration, 0.0, 1.0)


@dataclass(frozen=True)
class Users:
    """Latent traits and observed features of ``n`` users, one row each."""

    persona: np.ndarray  # (n,) index into PERSONAS, hidden
    log_affinity: np.ndarray  # (n, C) log of the liking of each category, hidden
    price_sensitivity: np.ndarray  # (n,) logits per unit of price level, hidden
    activity: np.ndarray  # (n,) relative frequency of visits, hidden
    features: np.ndarray  # (n, 9) what the shop knows: USER_FEATURES


@dataclass(frozen=True)
class Products:
    """Attributes of ``n`` products, one row each."""

    category: np.ndarray  # (n,) index into CATEGORIES
    price: np.ndarray  # (n,) price level: 0 budget, 0.5 standard, 1 premium
    quality: np.ndarray  # (n,) logits, hidden: no feature shows it
    popularity: np.ndarray  # (n,) noisy past popularity, the order of yesterday's exposure
    features: np.ndarray  # (n, 6) what the shop knows: PRODUCT_FEATURES


def draw_users(
    n: int, config: ShopConfig, rng: np.random.Generator, mean_tenure: float = 2.0
) -> Users:
    """Draw ``n`` users: a persona each, individual variation, and noisy observed features.

    Past purchases are Poisson counts whose mean follows the liking and the tenure (in years), so
    a new customer's features say little; the basket level is the price taste plus noise.
    """
    shares = np.array([p.share for p in PERSONAS])
    persona = rng.choice(len(PERSONAS), size=n, p=shares / shares.sum())
    centre = np.log([p.affinity for p in PERSONAS])[persona]  # (n, C)
    log_affinity = centre + config.individual_spread * rng.standard_normal(centre.shape)
    sensitivity = np.array([p.price_sensitivity for p in PERSONAS])[persona]
    sensitivity = sensitivity + 0.3 * rng.standard_normal(n)
    activity = rng.gamma(0.8, size=n) + 0.02
    tenure = np.minimum(rng.exponential(mean_tenure, size=n), 8.0)  # years
    liking = np.exp(log_affinity)
    liking /= liking.sum(axis=1, keepdims=True)
    mean_purchases = config.purchases_per_year * (0.25 + tenure)[:, None] * liking
    purchases = rng.poisson(mean_purchases)  # (n, C)
    basket = 0.5 - 0.25 * sensitivity + config.basket_noise * rng.standard_normal(n)
    mobile = rng.random(n) < np.array([p.mobile for p in PERSONAS])[persona]
    features = np.column_stack(
        [np.ones(n), np.log1p(purchases) / 2.0, basket, mobile, tenure / 4.0]
    )
    return Users(persona, log_affinity, sensitivity, activity, features)


def draw_products(n: int, config: ShopConfig, rng: np.random.Generator) -> Products:
    """Draw ``n`` products. Past popularity follows quality only in part: half of it is luck."""
    category = rng.choice(len(CATEGORIES), size=n, p=(0.28, 0.28, 0.16, 0.12, 0.16))
    price = rng.choice(3, size=n, p=(0.35, 0.40, 0.25)) / 2.0
    quality = config.quality_spread * rng.standard_normal(n)
    popularity = quality + config.quality_spread * rng.standard_normal(n)
    features = np.column_stack([np.eye(len(CATEGORIES))[category], price])
    return Products(category, price, quality, popularity, features)


def join(first: Users | Products, second: Users | Products) -> Users | Products:
    """Append the rows of ``second`` to those of ``first`` (new arrivals get the next ids)."""
    columns = {f.name: (getattr(first, f.name), getattr(second, f.name)) for f in fields(first)}
    return type(first)(**{name: np.concatenate(pair) for name, pair in columns.items()})


def top_category(users: Users, ids: np.ndarray) -> np.ndarray:
    """Return the category (...,) that each of the users bought most, by observed counts."""
    return users.features[ids, 1 : 1 + len(CATEGORIES)].argmax(axis=-1)


def exposure(
    products: Products, entry: np.ndarray, on_sale: np.ndarray, config: ShopConfig
) -> np.ndarray:
    """Return what yesterday's policy shows: propensities (C, n), a row per top category.

    Bestsellers first (Zipf in the rank of past popularity, late entrants last), more weight for
    the category that the visitor bought most, and a small uniform share.
    """
    rank = np.empty(len(entry))
    rank[np.lexsort((-products.popularity, entry))] = np.arange(1, len(entry) + 1)
    match = products.category == np.arange(len(CATEGORIES))[:, None]
    weight = on_sale * rank**-config.zipf_exponent * (1 + config.category_boost * match)
    weight /= weight.sum(axis=1, keepdims=True)
    uniform = on_sale / on_sale.sum()
    return (1 - config.log_exploration) * weight + config.log_exploration * uniform
