"""Chapter 2: LinUCB and its relatives."""

from recsys.linear.linucb import (
    DiscountedLinUCB,
    LinearThompson,
    LinUCB,
    SharedLinUCB,
    SlidingWindowLinUCB,
)
from recsys.linear.memory import RidgeMemory

__all__ = [
    "DiscountedLinUCB",
    "LinUCB",
    "LinearThompson",
    "RidgeMemory",
    "SharedLinUCB",
    "SlidingWindowLinUCB",
]
