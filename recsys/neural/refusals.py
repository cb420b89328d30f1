"""A neural policy that refuses what it cannot hold, and is then as it was before the call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from recsys.neural.digits import NotHeldError
from recsys.neural.persistence import PersistentPolicy


class RefusingPolicy(PersistentPolicy):
    """Base: takes a round back that Z cannot hold, and shows no arm by what is no number."""

    def _refuse_width(self) -> None:
        """Refuse a width that nobody knows: there are no gradients of rounds before."""
        if self.memory is None and self.alpha > 0:
            raise ValueError(
                f"alpha: got {self.alpha!r} for a policy that was made with 0 and keeps no "
                "gradients, expected 0; make a policy with alpha > 0"
            )

    def _refuse_scores(self, scores: np.ndarray | torch.Tensor) -> None:
        if not np.isfinite(as_array(scores)).all():
            raise ValueError("model: got scores that are not finite, expected finite parameters")

    def _refuses_late(self) -> bool:
        """Return whether Z may refuse the next round when something has changed already."""
        return self.schedule.gradient_at == "after"

    @contextmanager
    def _unless_not_held(self, name: str, late: bool) -> Iterator[None]:
        """Refuse the argument, and take all back, where Z cannot hold a gradient; then warn."""
        self._refuse_width()
        mark = self._mark() if late else None
        try:
            yield
        except NotHeldError as error:
            if mark is not None:
                self._go_back(mark)
            raise ValueError(str(error).replace("factors", name, 1)) from error
        if self.memory is not None:
            self.memory.warn()

    def _mark(self) -> dict[str, Any]:
        """Return what a round changes before Z takes it."""
        return {"rounds": self.rounds, "replay": self.replay.mark(self.model)}

    def _go_back(self, mark: dict[str, Any]) -> None:
        self.rounds = mark["rounds"]
        self.replay.go_back(self.model, mark["replay"])


def as_array(values: torch.Tensor | np.ndarray) -> np.ndarray:
    """Return numbers as an array, wherever they are."""
    return values if isinstance(values, np.ndarray) else values.cpu().numpy()
