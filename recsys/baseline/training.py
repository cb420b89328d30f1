"""How a click network is trained: log loss, shuffled minibatches, early stopping in order of time.

Training works on whole tensors with shuffled indices: no Python loop over rows, no Dataset object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as log_loss

from recsys import checks
from recsys.baseline.closed_form import ClosedFormStep, is_plain


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

    This is what training is; ``ClosedFormStep`` does the same to a click network in less time.
    """

    def __init__(self, model: nn.Module, learning_rate: float, weight_decay: float) -> None:
        self.model = model
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True
        )

    def __call__(
        self, identifiers: torch.Tensor, features: torch.Tensor, clicks: torch.Tensor
    ) -> torch.Tensor:
        """Make one step on rows (B, m), (B, d) with clicks (B,); return their mean loss before."""
        loss = log_loss(self.model(identifiers, features), clicks)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return loss.detach()


def train(
    model: Splitting,
    contexts: ArrayLike,
    clicks: ArrayLike,
    training: Training | None = None,
    progress: bool = False,
    device: str | None = None,
) -> History:
    """Fit a click network by minimising the mean log loss (``eq-bce``), in place.

    Parameters
    ----------
    model : baseline.ClickNetwork
        Changed in place.
    contexts : (n, columns) rows in order of time
    clicks : (n,) zeros and ones
    training : Training, optional
    progress : bool
        Print one line an epoch.
    device : str, optional
        Where to train, such as "cuda"; by default where the parameters are. The model stays there.

    Returns
    -------
    History
        The model keeps the parameters of the epoch with the lowest validation loss.

    Raises
    ------
    ValueError
        If shapes, ids or labels are wrong; the model is then unchanged.
    """
    training = training or Training()
    labels = checks.binary("clicks", clicks)
    if labels.ndim != 1 or len(labels) < 2:
        raise ValueError(f"clicks: got shape {labels.shape}, expected (n,) with n >= 2")
    if device is not None:
        model.to(device)
    identifiers, features = model.split(contexts)
    if len(identifiers) != len(labels):
        raise ValueError(f"contexts: got {len(identifiers)} rows, expected {len(labels)}")
    target = torch.as_tensor(labels, dtype=torch.float32, device=features.device)
    n_validation = round(training.validation_fraction * len(labels))
    if n_validation == len(labels):
        raise ValueError(
            f"validation_fraction: got {training.validation_fraction} of {len(labels)} rows, "
            "expected a fraction that leaves rows to train on"
        )
    n_train = len(labels) - n_validation  # time-ordered: the last rows validate
    step_by = ClosedFormStep if is_plain(model) else AutogradStep
    step = step_by(model, training.learning_rate, training.weight_decay)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    order = torch.Generator().manual_seed(training.seed)
    history = History([], [], 0)
    best, kept, best_epoch, size = np.inf, None, 0, training.batch_size
    for epoch in range(training.epochs):
        shuffled = torch.randperm(n_train, generator=order).to(features.device)
        total = torch.zeros((), device=features.device)
        columns = (column[shuffled].split(size) for column in (identifiers, features, target))
        for batch in zip(*columns, strict=True):
            total += step(*batch) * len(batch[2])
        history.training.append(float(total) / n_train)
        if n_validation:
            with torch.no_grad():
                logits = model(identifiers[n_train:], features[n_train:])
                held_out = log_loss(logits, target[n_train:])
            history.validation.append(float(held_out))
        watched = (history.validation or history.training)[-1]
        if progress:
            print(
                f"epoch {epoch + 1:2d}  training {history.training[-1]:.5f}  held out {watched:.5f}"
            )
        if watched < best:
            best, best_epoch = watched, epoch
            kept = {name: value.clone() for name, value in model.state_dict().items()}
        elif n_validation and epoch - best_epoch >= training.patience:
            break
    if kept is None:
        model.load_state_dict(start)
        raise ValueError(
            f"training: got a loss that is not finite with learning_rate {training.learning_rate}, "
            "expected a smaller one, or smaller features"
        )
    model.load_state_dict(kept)
    return History(history.training, history.validation, best_epoch)
