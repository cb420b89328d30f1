"""What the training of a click network is made of: settings, rows, and a step on the log loss.

``course`` makes a training of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from numpy.typing import ArrayLike
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as log_loss

from recsys import checks


class Splitting(Protocol):
    """What training asks of a network besides being a ``torch.nn.Module``."""

    def split(self, contexts: ArrayLike) -> tuple[torch.Tensor, torch.Tensor]:
        """Return checked ids and features of context rows."""


@dataclass(frozen=True)
class Training:
    """How a click network is trained."""

    epochs: int = 30  # at most
    batch_size: int = 4_096
    learning_rate: float = 1e-2
    weight_decay: float = 0.0  # decoupled (AdamW)
    validation_fraction: float = 0.1  # the last rows in time
    patience: int = 3  # epochs without a better validation loss before training stops
    seed: int = 0  # of the order of the batches

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            checks.integer(name, getattr(self, name), 1)
        checks.integer("seed", self.seed, 0)
        checks.number("learning_rate", self.learning_rate, 1e-9, 10.0)
        checks.number("weight_decay", self.weight_decay, 0.0, 10.0)
        checks.number("validation_fraction", self.validation_fraction, 0.0, 0.9)


@dataclass(frozen=True)
class History:
    """Mean losses in nats after each epoch, and the epoch whose parameters were kept."""

    training: list[float]
    validation: list[float]
    best_epoch: int


class AutogradStep:
    """Changes the parameters of any network by one step of AdamW on the mean log loss.

    This is what training is. ``ClosedFormStep`` does the same to many click networks at once; so
    that one loop serves both, every tensor here has an axis of length 1 for its only network.
    """

    def __init__(
        self, models: Sequence[nn.Module], learning_rate: float, weight_decay: float
    ) -> None:
        (self.model,) = models
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True
        )

    def __call__(
        self, identifiers: torch.Tensor, features: torch.Tensor, clicks: torch.Tensor
    ) -> torch.Tensor:
        """Make one step on rows (1, B, m), (1, B, d) and clicks (1, B); return the loss before."""
        loss = log_loss(self.model(identifiers[0], features[0]), clicks[0])
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return loss.detach()[None]

    def losses(
        self, identifiers: torch.Tensor, features: torch.Tensor, clicks: torch.Tensor
    ) -> torch.Tensor:
        """Return the mean loss (1,) of rows as for a step, without one."""
        with torch.no_grad():
            return log_loss(self.model(identifiers[0], features[0]), clicks[0])[None]

    def state(self, network: int) -> dict[str, torch.Tensor]:
        """Return a copy of what the network has learned."""
        return {name: value.clone() for name, value in self.model.state_dict().items()}


@dataclass(frozen=True)
class Rows:
    """What one network is trained on: checked rows in order of time, the last of which validate."""

    identifiers: torch.Tensor  # (n, m)
    features: torch.Tensor  # (n, d)
    clicks: torch.Tensor  # (n,)
    n_train: int

    def columns(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the three tensors."""
        return self.identifiers, self.features, self.clicks


def checked_rows(
    model: Splitting, contexts: ArrayLike, clicks: ArrayLike, training: Training
) -> Rows:
    """Return the rows of one network, or refuse them."""
    labels = checks.binary("clicks", clicks)
    if labels.ndim != 1 or len(labels) < 2:
        raise ValueError(f"clicks: got shape {labels.shape}, expected (n,) with n >= 2")
    identifiers, features = model.split(contexts)
    if len(identifiers) != len(labels):
        raise ValueError(f"contexts: got {len(identifiers)} rows, expected {len(labels)}")
    target = torch.tensor(labels, dtype=features.dtype, device=features.device)
    n_validation = round(training.validation_fraction * len(labels))
    if n_validation == len(labels):
        raise ValueError(
            f"validation_fraction: got {training.validation_fraction} of {len(labels)} rows, "
            "expected a fraction that leaves rows to train on"
        )
    return Rows(identifiers, features, target, len(labels) - n_validation)
