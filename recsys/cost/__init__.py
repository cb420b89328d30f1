"""What a computation costs: counted, and timed."""

from recsys.cost.scaling import (
    Growth,
    fixed_and_growing,
    local_slopes,
    power_exponents,
    time_growth,
)
from recsys.cost.tally import Tally

__all__ = ["Growth", "Tally", "fixed_and_growing", "local_slopes", "power_exponents", "time_growth"]
