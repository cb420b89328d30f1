"""The simulated shop: who lives there, what happens, what is written down, what may be seen."""

from recsys.shop.features import (
    CODE,
    CodedFeatures,
    CrossedFeatures,
    Featurizer,
    Identifiers,
    JointFeatures,
    ObservedFeatures,
    SharedUserFeatures,
    Truth,
)
from recsys.shop.records import Log, Trace, Visits
from recsys.shop.simulator import Shop
from recsys.shop.world import (
    CATEGORIES,
    PERSONAS,
    PRICE_TIERS,
    PRODUCT_FEATURES,
    USER_FEATURES,
    ShopConfig,
    top_category,
)

__all__ = [
    "CATEGORIES",
    "CODE",
    "PERSONAS",
    "PRICE_TIERS",
    "PRODUCT_FEATURES",
    "USER_FEATURES",
    "CodedFeatures",
    "CrossedFeatures",
    "Featurizer",
    "Identifiers",
    "JointFeatures",
    "Log",
    "ObservedFeatures",
    "SharedUserFeatures",
    "Shop",
    "ShopConfig",
    "Trace",
    "Truth",
    "Visits",
    "top_category",
]
