"""What a computation costs: counted, and timed."""

from recsys.cost.scaling import (
    Growth,
    fixed_and_growing,
    local_slopes,
    power_exponents,
    time_growth,
)
from recsys.cost.tally import Tally, count
from recsys.cost.timing import take_turns

__all__ = [
    "Growth",
    "Tally",
    "count",
    "fixed_and_growing",
    "local_slopes",
    "power_exponents",
    "take_turns",
    "time_growth",
]
