"""Arrays that grow by a row a round: rows in a buffer, and a Cholesky factor.

Worlds are leading axes: () for one, (S,) for S.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

BLOCK = 256  # rows of the inverse factor that are kept, and multiplied, together


class GrowingRows:
    """Rows (..., n, width) that come a few at a time.

    The buffer doubles when it is full, so a row is copied twice on average, however many come.
    """

    def __init__(
        self, worlds: tuple[int, ...], width: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.n = 0
        self._buffer = torch.empty((*worlds, 0, width), dtype=dtype, device=device)

    @property
    def rows(self) -> torch.Tensor:
        """The rows (..., n, width) so far; a view."""
        return self._buffer[..., : self.n, :]

    def take(self, which: torch.Tensor) -> torch.Tensor:
        """Return copies (..., m, width) of the rows with the numbers (m,), the same in each world.

        The worlds stand one after the other in memory, so it is one selection of plain rows.
        """
        if self._buffer.ndim == 2:
            return self._buffer.index_select(0, which)
        *worlds, capacity, width = self._buffer.shape
        starts = capacity * torch.arange(math.prod(worlds), device=which.device)
        places = (starts[:, None] + which).flatten()
        found = self._buffer.view(-1, width).index_select(0, places)
        return found.view(*worlds, len(which), width)

    def append(self, rows: torch.Tensor) -> None:
        """Add rows (..., m, width) at the end."""
        n, needed = self.n, self.n + rows.shape[-2]
        if needed > self._buffer.shape[-2]:
            *worlds, _, width = self._buffer.shape
            larger = self._buffer.new_empty((*worlds, max(64, 2 * n, needed), width))
            larger[..., :n, :] = self._buffer[..., :n, :]
            self._buffer = larger
        self._buffer[..., n:needed, :] = rows
        self.n = needed


class GrowingCholesky:
    """The inverse L⁻¹ of the Cholesky factor of a matrix M = LLᵀ that grows by a row at a time.

    Everything that is asked of M⁻¹ is a product with L⁻¹: kᵀM⁻¹k = ‖L⁻¹k‖². Products run nearer to
    the speed of the machine than substitution does. The rows of L⁻¹ are kept in blocks, each as
    long as its last row, so the zeros above the diagonal cost half of what a square would, and
    nothing is copied when a row comes.

    Parameters
    ----------
    floor : float
        A lower bound of the eigenvalues of M, such as λ for λI + K. A column whose pivot q rounding
        pushes below it adds nothing that is known: its row of L⁻¹ is zero.

    Notes
    -----
    Row n + 1 of L⁻¹ is (-ℓᵀL⁻¹, 1)/√q with ℓ = L⁻¹m and q = M_{n+1,n+1} - ‖ℓ‖², where m is the new
    column of M: 2n² operations (``prop-growing-cholesky``). Earlier rows never change, so there is
    no error that each round makes worse; the error is that of inverting a Cholesky factor computed
    in one go.
    """

    def __init__(
        self, worlds: tuple[int, ...], floor: float, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.n = 0
        self.floor = floor
        self._like = torch.empty((*worlds, 0), dtype=dtype, device=device)
        self.blocks: list[torch.Tensor] = []  # block j: (..., BLOCK, (j + 1) BLOCK)

    def times(self, k: torch.Tensor) -> torch.Tensor:
        """Return L⁻¹k (..., n, K) for k (..., n, K)."""
        out = k.new_empty(k.shape)
        for rows, block in self._parts():
            end = rows.stop
            torch.matmul(block[..., :end], k[..., :end, :], out=out[..., rows, :])
        return out

    def transposed_times(self, v: torch.Tensor) -> torch.Tensor:
        """Return L⁻ᵀv (..., n, K) for v (..., n, K)."""
        out = torch.zeros_like(v)
        for rows, block in self._parts():
            out[..., : rows.stop, :] += (v[..., rows, :].mT @ block[..., : rows.stop]).mT
        return out

    def append(self, cross: torch.Tensor, corner: torch.Tensor) -> torch.Tensor:
        """Let M grow by a column: ``cross`` (..., n) above the diagonal, ``corner`` (...) on it.

        Returns q (...), as it was computed.
        """
        n, place = self.n, self.n % BLOCK
        solved = self.times(cross[..., None])  # ℓ
        q = corner - solved.square().sum(dim=(-2, -1))
        pivot = q.clamp_min(self.floor).sqrt()
        row, end = self.transposed_times(solved)[..., 0] / -pivot[..., None], 1.0 / pivot
        if not bool((known := q >= self.floor).all()):
            row, end = torch.where(known[..., None], row, 0.0), torch.where(known, end, 0.0)
        if place == 0:
            self.blocks.append(self._like.new_zeros((*self._like.shape[:-1], BLOCK, n + BLOCK)))
        self.blocks[-1][..., place, :n] = row
        self.blocks[-1][..., place, n] = end
        self.n = n + 1
        return q

    def strips(self, height: int) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield (rows, those rows of L⁻¹) in order, at most ``height`` at a time, as views.

        The rows are cut off behind their last number: (..., rows, rows.stop).
        """
        for rows, block in self._parts():
            for start in range(rows.start, rows.stop, height):
                stop = min(start + height, rows.stop)
                strip = block[..., start - rows.start : stop - rows.start, :stop]
                yield slice(start, stop), strip

    def restore(self, blocks: list[torch.Tensor], n: int) -> None:
        """Take over the blocks of another factor, of which n rows are in use."""
        self.blocks, self.n = [block.clone() for block in blocks], n

    def _parts(self) -> list[tuple[slice, torch.Tensor]]:
        """Return (rows, the block's rows that are in use), from the first block to the last."""
        parts = []
        for j, block in enumerate(self.blocks):
            rows = slice(j * BLOCK, min((j + 1) * BLOCK, self.n))
            parts.append((rows, block[..., : rows.stop - rows.start, :]))
        return parts
