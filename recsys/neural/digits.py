"""How many digits of a squared width are left, and what a memory cannot hold.

The exact forms come to a width by subtracting what the rounds played have taken from what there was
before them: from s = c‖g‖²/λ to c g·Z⁻¹·g. The difference is wrong by about ε s, with ε the
distance from 1 to the next number: 2.2e-16 in double precision, 1.2e-7 in single. So the relative
error of a squared width is about ε s / (c g·Z⁻¹·g), and

- half of the digits are lost where a squared width is less than √ε of what it was without rounds:
  after one round of a row with s > 1/√ε, which is 6.7e7 in double precision and 2,900 in single;
- no digit would be left of λ beside a row with s ≥ 1/ε, 4.5e15 or 8.4e6: such a row is refused.

The diagonal form subtracts nothing. It refuses rows only where the sum of its numbers is beyond
what an inverse can be taken of. In single precision every round adds an error of up to ε/2.
"""

from __future__ import annotations

import torch

REMEDY = "standardise the features, use unit_rows=True, or take a larger ridge"


class NotHeldError(ValueError):
    """Rows whose gradients a memory cannot hold; nothing has changed."""


def refuse_what_drowns_ridge(ratios: torch.Tensor, dtype: torch.dtype) -> None:
    """Raise ``NotHeldError`` unless all s = c‖g‖²/λ of rows are finite and less than 1/ε."""
    most = 1.0 / torch.finfo(dtype).eps
    if not bool((ratios < most).all()):
        raise NotHeldError(
            f"factors: got squared gradients of {float(ratios.max()):.2g} times the ridge, "
            f"expected less than {most:.2g}, beyond which {dtype} cannot add the ridge; {REMEDY}"
        )


def few_left(before: torch.Tensor, ratios: torch.Tensor) -> bool:
    """Return whether a row's squared width after its round has lost half of its digits.

    ``before`` are the squared widths w (...) of rows before their rounds, which leave w/(1 + w),
    and ``ratios`` those without any round.
    """
    least = torch.finfo(before.dtype).eps ** 0.5
    return bool((before < least * ratios * (1.0 + before)).any())


def message(dtype: torch.dtype) -> str:
    """Return what is said where digits are few."""
    least = torch.finfo(dtype).eps ** 0.5
    return (
        f"after the rounds played, the squared width of a row is less than {least:.1e} of what it "
        f"was without them: less than half of its digits in {dtype} are right; {REMEDY}"
    )
