"""How a click network is trained: log loss, shuffled minibatches, early stopping in order of time.

Training works on whole tensors with shuffled indices: no Python loop over rows, no Dataset object.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as log_loss

from recsys import checks
from recsys.baseline.closed_form import ClosedFormStep, how_many_together, is_plain


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
        If shapes, ids or labels are wrong, or a loss is not finite; the model is then unchanged.
    """
    training = training or Training()
    labels = checks.binary("clicks", clicks)  # before the model moves
    if device is not None:
        model.to(device)
    rows = checked_rows(model, contexts, labels, training)
    return _train([model], [rows], [training], progress)[0]


def train_together(
    models: Sequence[Splitting],
    contexts: Sequence[ArrayLike],
    clicks: Sequence[ArrayLike],
    trainings: Sequence[Training],
) -> list[History]:
    """Fit S click networks, each to rows of its own, as ``train`` does one by one.

    Networks of one shape on logs of one length whose trainings differ in the seed only stand in one
    array each (``closed_form``); each stops at an epoch of its own. Up to rounding the result is
    that of one by one, in less time.

    Parameters
    ----------
    models, contexts, clicks, trainings : S of each, as for ``train``

    Returns
    -------
    list of S History

    Raises
    ------
    ValueError
        As from ``train``, or if their numbers differ; all models are then unchanged.
    """
    parts = [models, contexts, clicks, trainings]
    if len({len(part) for part in parts}) != 1 or not len(models):
        numbers = ", ".join(str(len(part)) for part in parts)
        raise ValueError(f"models: got {numbers} of models, contexts, clicks and trainings")
    rows = [checked_rows(*four) for four in zip(*parts, strict=True)]
    before = [{k: v.clone() for k, v in model.state_dict().items()} for model in models]
    groups: dict[Hashable, list[int]] = {}
    for i, (model, own, training) in enumerate(zip(models, rows, trainings, strict=True)):
        alike: Hashable = i
        if is_plain(model):
            form = {**model.settings, "seed": None}
            alike = (repr(form), own.clicks.shape, own.clicks.dtype, replace(training, seed=0))
        groups.setdefault(alike, []).append(i)
    histories: dict[int, History] = {}
    try:
        for group in groups.values():
            size = how_many_together(trainings[group[0]].batch_size)
            for some in (group[i : i + size] for i in range(0, len(group), size)):
                found = _train(*([part[i] for i in some] for part in (models, rows, trainings)))
                histories |= dict(zip(some, found, strict=True))
    except ValueError:
        for model, state in zip(models, before, strict=True):
            model.load_state_dict(state)
        raise
    return [histories[i] for i in range(len(models))]


class _Course:
    """How the training of one network goes: its losses, and its best parameters so far."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.order = torch.Generator().manual_seed(training.seed)
        self.losses: tuple[list[float], list[float]] = ([], [])  # training, validation
        self.best, self.best_epoch, self.kept = np.inf, 0, None

    def goes_on(self, trained: float, held_out: float | None, state: Callable[[], dict]) -> bool:
        """Note the losses of an epoch, keep its state if it is the best; tell if there is more."""
        self.losses[0].append(trained)
        if held_out is not None:
            self.losses[1].append(held_out)
        watched = trained if held_out is None else held_out
        epoch = len(self.losses[0]) - 1
        if watched < self.best:
            self.best, self.best_epoch, self.kept = watched, epoch, state()
        elif held_out is not None and epoch - self.best_epoch >= self.training.patience:
            return False
        return epoch + 1 < self.training.epochs


def _train(
    models: Sequence[Splitting],
    rows: Sequence[Rows],
    trainings: Sequence[Training],
    progress: bool = False,
) -> list[History]:
    """Train networks that can stand together; the trainings differ in their seeds only."""
    training, n_train, n = trainings[0], rows[0].n_train, len(rows[0].clicks)
    start = [{k: v.clone() for k, v in model.state_dict().items()} for model in models]
    step_by = ClosedFormStep if all(map(is_plain, models)) else AutogradStep
    step = step_by(models, training.learning_rate, training.weight_decay)
    courses = [_Course(own) for own in trainings]
    going = list(range(len(models)))  # networks whose training goes on
    while going:
        held_out = [None] * len(going)
        orders = [courses[i].order for i in going]
        trained = _epoch(step, [rows[i] for i in going], orders, training.batch_size)
        if n_train < n:
            some = zip(*(rows[i].columns() for i in going), strict=True)
            held_out = step.losses(*(torch.stack([c[n_train:] for c in col]) for col in some))
            held_out = held_out.tolist()
        on = [
            courses[i].goes_on(trained[j], held_out[j], partial(step.state, j))
            for j, i in enumerate(going)
        ]
        if progress:
            done, watched = courses[0].losses, trained[0] if held_out[0] is None else held_out[0]
            print(f"epoch {len(done[0]):2d}  training {trained[0]:.5f}  held out {watched:.5f}")
        if any(on) and not all(on):
            step.keep([j for j, more in enumerate(on) if more])
        going = [i for i, more in zip(going, on, strict=True) if more]
    if any(course.kept is None for course in courses):
        for model, state in zip(models, start, strict=True):
            model.load_state_dict(state)
        raise ValueError(
            f"training: got a loss that is not finite with learning_rate {training.learning_rate}, "
            "expected a smaller one, or smaller features"
        )
    for model, course in zip(models, courses, strict=True):
        model.load_state_dict(course.kept)
    return [History(*course.losses, course.best_epoch) for course in courses]


def _epoch(
    step: ClosedFormStep | AutogradStep,
    rows: list[Rows],
    orders: list[torch.Generator],
    size: int,
) -> list[float]:
    """Make a step on each minibatch of an epoch, in random order; return the mean losses."""
    n = rows[0].n_train
    shuffled = [torch.randperm(n, generator=order) for order in orders]
    shuffled = [places.to(own.clicks.device) for places, own in zip(shuffled, rows, strict=True)]
    pairs = list(zip(shuffled, rows, strict=True))
    columns = [
        torch.stack([own.columns()[c][places] for places, own in pairs]).split(size, dim=1)
        for c in range(3)
    ]
    total = rows[0].features.new_zeros(len(rows))
    for batch in zip(*columns, strict=True):
        total += step(*batch) * batch[2].shape[1]
    return [loss / n for loss in total.tolist()]
