"""What NeuralUCB remembers of the gradients played: Z = λI + c Σ g gᵀ, whole or its diagonal.

A memory answers one question: how large is c g·Z⁻¹·g for each of K arms? With features in the place
of gradients and c = 1 that is LinUCB's squared width, but Z has p rows and columns, one for each
parameter of the network. So it is kept in several forms, and asked in the two factors of a gradient
(``gradients.Factors``): only a form that needs gradients makes them. The contract is here, and the
whole inverse; ``diagonal_memory`` keeps the diagonal alone, and ``dual_memory`` the rounds played.

Shapes: K arms, p parameters, h_l units in layer l. S stacked networks add a leading axis of S.
"""

from __future__ import annotations

import warnings

import torch
from torch import nn

from recsys import checks
from recsys.gradients import Factors, all_finite, chunks, n_rows_within, take_apart
from recsys.neural import digits

TEMPORARIES = 2**23  # bytes that a chunk of arms may take besides the result
MOST = 1e30  # of λ and c: no product with them leaves single precision


class GradientMemory(checks.Checked):
    """Base: the contract of all forms.

    Parameters
    ----------
    model : torch.nn.Sequential
        The network whose gradients come, as ``mlp.take_apart`` takes it apart. It says the shapes,
        the number of worlds and the device; its parameters are not kept.
    ridge : float
        The penalty λ, from 1e-12 to 1e30, in squared units of √c g.
    scale : float
        The factor c of the gradients' products, in the same range; NeuralUCB has 1/m.
    layers : slice
        Whose parameters count: all layers, or ``slice(-1, None)`` for the last one alone.
    dtype : torch.dtype
        Of the memory and of the bonus; factors are converted. The dual forms subtract numbers that
        are nearly equal where few directions are left to explore: in single precision that may
        leave no digit at all.

    Raises
    ------
    ValueError
        If an argument is out of its range; from ``bonus`` and ``add`` if factors do not fit or are
        not finite; from ``add`` also if rows are too long for the memory (``digits``). The memory
        is then unchanged. A setting cannot be set again.

    Warns
    -----
    PrecisionWarning
        Once, by the first ``add`` after which the width of a row has lost half of its digits.
    """

    fixed = ("ridge", "scale", "layers", "dtype")  # Z and its inverse are made with them
    few_digits = False  # whether the width of a row played has lost half of its digits
    _told = False

    def __init__(
        self,
        model: nn.Module,
        ridge: float = 1.0,
        scale: float = 1.0,
        layers: slice = slice(None),
        dtype: torch.dtype = torch.float64,
    ) -> None:
        mlp = take_apart(model)
        self.shapes, self.worlds, self.layers = mlp.shapes[layers], mlp.worlds, layers
        if not self.shapes:
            raise ValueError(f"layers: got {layers}, expected at least one of {len(mlp.shapes)}")
        self.ridge = checks.number("ridge", ridge, 1e-12, MOST)
        self.scale = checks.number("scale", scale, 1e-12, MOST)
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"dtype: got {dtype}, expected torch.float32 or torch.float64")
        self.dtype, self.device = dtype, mlp.weights[0].device
        self.rounds = 0
        self._start()

    def _start(self) -> None:
        """Make the state of no rounds."""
        raise NotImplementedError

    @property
    def n_parameters(self) -> int:
        """The number p of parameters that count."""
        return sum(h * (w + biased) for w, h, biased in self.shapes)

    def bonus(self, factors: Factors) -> torch.Tensor:
        """Return c g·Z⁻¹·g (..., K), the squared width of every arm; the memory stays as it is.

        Arms go through in chunks whose temporary arrays take at most ``TEMPORARIES`` bytes.
        """
        factors = self._checked(factors)
        size = n_rows_within(TEMPORARIES, self._numbers_per_arm() * self.dtype.itemsize)
        n = factors.scores.shape[-1]
        if n <= size:
            squared = self._bonus(factors)
        else:
            squared = torch.cat([self._bonus(factors.rows(part)) for part in chunks(n, size)], -1)
        if not all_finite(squared):
            raise ValueError("factors: got a value that is not finite, expected finite numbers")
        return squared

    def add(self, factors: Factors) -> None:
        """Add the gradients (..., n, p) of n rounds played to Z, one after the other."""
        self.take(factors)
        self.warn()

    def take(self, factors: Factors) -> None:
        """Do what ``add`` does, without its warning."""
        factors = self._checked(factors)
        self._add(factors)
        self.rounds += factors.scores.shape[-1]

    def warn(self) -> None:
        """Warn where digits are few, unless that was said before."""
        if self.few_digits and not self._told:
            self._told = True
            warnings.warn(digits.message(self.dtype), checks.PrecisionWarning, stacklevel=3)

    def hold(self, factors: Factors) -> None:
        """Refuse rounds, all that are to come at once, that ``take`` would refuse."""
        self._squares(self._checked(factors))

    def _squares(self, factors: Factors) -> torch.Tensor:
        """Return ‖g‖² (..., n) of rounds, refusing what is not finite or too long."""
        squares = factors.squared_norms()
        if not all_finite(squares):
            raise ValueError("factors: got a value that is not finite, expected finite numbers")
        digits.refuse_what_drowns_ridge(self.scale * squares / self.ridge, self.dtype)
        return squares

    def _watch(self, before: list[torch.Tensor], squares: torch.Tensor) -> None:
        """Note whether digits are few, by the squared widths (..., 1) before each round."""
        if not self.few_digits and before:
            widths = before[0] if len(before) == 1 else torch.cat(before, dim=-1)
            self.few_digits = digits.few_left(widths, self.scale * squares / self.ridge)

    def state(self) -> list[torch.Tensor]:
        """Return everything that ``add`` has changed but the number of rounds."""
        raise NotImplementedError

    def restore(self, state: list[torch.Tensor], rounds: int) -> None:
        """Take over the state of another memory of the same form and settings."""
        self._restore([tensor.to(self.device, self.dtype) for tensor in state], rounds)
        self.rounds = rounds

    def _restore(self, state: list[torch.Tensor], rounds: int) -> None:
        raise NotImplementedError

    def _checked(self, factors: Factors) -> Factors:
        """Return the factors of the layers that count, in the memory's dtype."""
        if self.layers != slice(None):
            factors = factors.part(self.layers)
        if factors.shapes != self.shapes or factors.scores.shape[:-1] != self.worlds:
            found = f"layers {factors.shapes} and scores {tuple(factors.scores.shape)}"
            raise ValueError(f"factors: got {found}, expected {self.shapes} and {self.worlds} rows")
        if factors.scores.dtype == self.dtype:
            return factors
        return factors.map(lambda tensor: tensor.to(self.dtype))

    def _numbers_per_arm(self) -> int:
        """Return how many temporary numbers an arm takes in ``_bonus``."""
        raise NotImplementedError

    def _bonus(self, factors: Factors) -> torch.Tensor:
        raise NotImplementedError

    def _add(self, factors: Factors) -> None:
        """Add rounds, one after the other, refusing what is not finite before any change."""
        raise NotImplementedError


class FullMemory(GradientMemory):
    """Keeps Z⁻¹, p×p, and follows each round by the Sherman–Morrison formula: exact, O(p²).

    Attributes
    ----------
    Z_inv : Tensor (..., p, p)
    """

    def _start(self) -> None:
        p = self.n_parameters
        self.Z_inv = torch.zeros((*self.worlds, p, p), dtype=self.dtype, device=self.device)
        self.Z_inv.diagonal(dim1=-2, dim2=-1).fill_(1.0 / self.ridge)

    def refill(self, factors: Factors) -> None:
        """Forget all rounds and start again from the gradients of these."""
        factors = self._checked(factors)
        ratios = self.scale * self._squares(factors) / self.ridge
        g = factors.gradients()  # (..., n, p)
        Z = self.scale * (g.mT @ g)
        Z.diagonal(dim1=-2, dim2=-1).add_(self.ridge)
        L, failures = torch.linalg.cholesky_ex(Z)
        if bool(failures.any()):  # squares hide λ; those of the rows' own triangle are never formed
            root = torch.eye(self.n_parameters, dtype=self.dtype, device=self.device)
            root = (self.ridge**0.5 * root).expand(*self.worlds, -1, -1)
            L = torch.linalg.qr(torch.cat([root, self.scale**0.5 * g], dim=-2), mode="r").R.mT
        self.Z_inv = torch.cholesky_inverse(L)
        self.rounds = factors.scores.shape[-1]
        least = torch.finfo(self.dtype).eps ** 0.5
        # No width is less than 1/(1 + Σ s) of what it was.
        self.few_digits = bool((ratios.sum(dim=-1) >= 1.0 / least).any()) and bool(
            (self._bonus(factors) < least * ratios).any()
        )

    def state(self) -> list[torch.Tensor]:
        """Return Z⁻¹ alone."""
        return [self.Z_inv]

    def _restore(self, state: list[torch.Tensor], rounds: int) -> None:
        self.Z_inv.copy_(*state)

    def _numbers_per_arm(self) -> int:
        return 2 * self.n_parameters

    def _bonus(self, factors: Factors) -> torch.Tensor:
        g = factors.gradients()  # (..., K, p)
        return self.scale * torch.linalg.vecdot(g @ self.Z_inv, g).clamp_min_(0.0)

    def _add(self, factors: Factors) -> None:
        squares, before = self._squares(factors), []
        for k in range(squares.shape[-1]):
            g = factors.rows(slice(k, k + 1)).gradients() * self.scale**0.5  # (..., 1, p)
            direction = g @ self.Z_inv  # (..., 1, p), (Z⁻¹g)ᵀ
            before.append(torch.linalg.vecdot(g, direction))  # (..., 1)
            growth = 1.0 + before[-1]  # det Z after / before
            direction = direction / growth.sqrt()[..., None]
            if not bool((known := growth >= 1.0).all()):  # a width below zero is rounding
                direction = torch.where(known[..., None], direction, 0.0)
            if self.worlds:
                self.Z_inv.baddbmm_(direction.mT, direction, alpha=-1.0)
            else:
                self.Z_inv.addr_(direction[0], direction[0], alpha=-1.0)
        self._watch(before, squares)
