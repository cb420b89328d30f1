"""What the training of a click network is made of: settings, rows, and a step on the log loss.

``course`` makes a training of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
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
        checked = {
            "epochs": checks.integer("epochs", self.epochs, 1),
            "batch_size": checks.integer("batch_size", self.batch_size, 1),
            "patience": checks.integer("patience", self.patience, 1),
            "seed": checks.integer("seed", self.seed, 0, 2**64 - 1),
            "learning_rate": checks.number("learning_rate", self.learning_rate, 1e-9, 10.0),
            "weight_decay": checks.number("weight_decay", self.weight_decay, 0.0, 10.0),
            "validation_fraction": checks.number(
                "validation_fraction", self.validation_fraction, 0.0, 0.9
            ),
        }
        for name, value in checked.items():  # NumPy's numbers become Python's, which torch takes
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class History:
    """Mean losses in nats of each epoch, and the epoch whose parameters were kept."""

    training: list[float]  # of each batch before its step: an average while the weights move
    validation: list[float]  # after the epoch
    best_epoch: int


class AutogradStep:
    """Changes the parameters of any network by one step of AdamW on the mean log loss.

    This is what training is. ``ClosedFormStep`` does the same to many click networks at once; so
    that one loop serves both, every tensor here has an axis of length 1 for its only network.
    The loss of B rows with weights w is Σ w l / B: ``checked_rows`` gives weights with mean 1.
    """

    def __init__(
        self, models: Sequence[nn.Module], learning_rate: float, weight_decay: float
    ) -> None:
        (self.model,) = models
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True
        )

    def __call__(
        self,
        identifiers: torch.Tensor,
        features: torch.Tensor,
        clicks: torch.Tensor,
        weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Make one step on rows (1, B, m), (1, B, d) and clicks (1, B); return the loss before.

        ``weights`` (1, B) are those of the rows; without them all are 1.
        """
        loss = self._loss(identifiers, features, clicks, weights)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return loss.detach()[None]

    def losses(
        self,
        identifiers: torch.Tensor,
        features: torch.Tensor,
        clicks: torch.Tensor,
        weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the mean loss (1,) of rows as for a step, without one."""
        with torch.no_grad():
            return self._loss(identifiers, features, clicks, weights)[None]

    def _loss(
        self,
        identifiers: torch.Tensor,
        features: torch.Tensor,
        clicks: torch.Tensor,
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        each = None if weights is None else weights[0]
        return log_loss(self.model(identifiers[0], features[0]), clicks[0], weight=each)

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
    weights: torch.Tensor | None = None  # (n,) with mean 1 in either part; None where all are 1

    def columns(self) -> tuple[torch.Tensor, ...]:
        """Return the three tensors, and the weights where there are any."""
        tensors = self.identifiers, self.features, self.clicks
        return tensors if self.weights is None else (*tensors, self.weights)

    def to(self, device: torch.device) -> Rows:
        """Return the rows on another device."""
        moved = [tensor.to(device) for tensor in self.columns()]
        return Rows(*moved[:3], self.n_train, *moved[3:])


def checked_rows(
    model: Splitting,
    contexts: ArrayLike,
    clicks: ArrayLike,
    training: Training,
    sample_weight: ArrayLike | None = None,
) -> Rows:
    """Return the rows of one network, or refuse them."""
    if not isinstance(training, Training):
        raise ValueError(f"training: got {type(training).__name__}, expected a Training")
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
    n_train = len(labels) - n_validation
    weights = None
    if sample_weight is not None:
        given = checked_weights(sample_weight, len(labels))
        parts = given[:n_train], given[n_train:]
        even = np.concatenate([mean_one(part) for part in parts if len(part)])
        if (even != 1.0).any():
            weights = torch.tensor(even, dtype=features.dtype, device=features.device)
    return Rows(identifiers, features, target, n_train, weights)


def checked_weights(sample_weight: ArrayLike, n: int) -> np.ndarray:
    """Return the weights (n,) of rows, none of them negative, or refuse them."""
    weights = checks.finite("sample_weight", sample_weight, (n,))
    if n and weights.min() < 0:
        raise ValueError(f"sample_weight: got {weights.min()}, expected no negative weight")
    if not weights.any():
        raise ValueError(f"sample_weight: got zeros only for {n} rows, expected a positive weight")
    return weights


def mean_one(weights: np.ndarray) -> np.ndarray:
    """Return weights divided by their mean, so that weights that are equal become exactly 1.

    A batch of B rows, all equally often drawn, then has the loss Σ w l / B: its gradient is on
    average that of Σ w l / Σ w over all rows, and equal to it where the batch is all rows. Divided
    by the batch's own Σ w instead, a row would count for more in a batch of light rows.
    """
    largest = weights.max()
    if largest == 0:
        raise ValueError(
            f"sample_weight: got zeros only for {len(weights)} rows, expected a positive weight "
            "among the rows that train and among the last ones, which validate"
        )
    weights = weights / largest  # so the sum is finite
    return weights / weights.mean()
