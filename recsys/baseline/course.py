"""How click networks are trained: shuffled minibatches, early stopping in order of time.

Training works on whole tensors with shuffled indices: no Python loop over rows, no Dataset object.
``train`` fits one network. ``train_together`` fits many, each to rows of its own, and the loop is
the same: a step changes one network (``training.AutogradStep``) or a stack of them
(``closed_form.ClosedFormStep``), and each has a course of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike

from recsys import worlds
from recsys.baseline.closed_form import ClosedFormStep, how_many_together, is_plain
from recsys.baseline.training import (
    AutogradStep,
    History,
    Rows,
    Splitting,
    Training,
    checked_rows,
)


def train(
    model: Splitting,
    contexts: ArrayLike,
    clicks: ArrayLike,
    training: Training | None = None,
    progress: bool = False,
    device: str | None = None,
    sample_weight: ArrayLike | None = None,
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
    sample_weight : (n,), optional
        Non-negative. The loss is then Σ w l / Σ w, of the rows that train and of those that
        validate; a row of weight 2 counts as two rows. The weights are divided by their mean once,
        and a minibatch of B rows has the loss Σ w l / B: its gradient is right on average.

    Returns
    -------
    History
        The model keeps the parameters of the epoch with the lowest validation loss.

    Raises
    ------
    ValueError
        If shapes, ids, labels or weights are wrong, the machine has no such device, or a loss is
        not finite; the model is then unchanged, and where it was.
    """
    training = Training() if training is None else training
    rows = checked_rows(model, contexts, clicks, training, sample_weight)
    if device is None:
        return _train([model], [rows], [training], progress)[0]
    home, there = rows.clicks.device, _device(device)
    rows = rows.to(there)
    model.to(there)
    try:
        return _train([model], [rows], [training], progress)[0]
    except ValueError:
        model.to(home)
        raise


def train_together(
    models: Sequence[Splitting],
    contexts: Sequence[ArrayLike],
    clicks: Sequence[ArrayLike],
    trainings: Sequence[Training],
    sample_weight: Sequence[ArrayLike | None] | None = None,
) -> list[History]:
    """Fit S click networks, each to rows of its own, as ``train`` does one by one.

    Networks of one shape on logs of one length whose trainings differ in the seed only stand in one
    array each (``closed_form``); each stops at an epoch of its own. Up to rounding the result is
    that of one by one, in less time.

    Parameters
    ----------
    models, contexts, clicks, trainings, sample_weight : S of each, as for ``train``

    Returns
    -------
    list of S History

    Raises
    ------
    ValueError
        As from ``train``, or if their numbers differ; all models are then unchanged.
    """
    models = list(models)
    weights = [None] * len(models) if sample_weight is None else list(sample_weight)
    parts = [models, list(contexts), list(clicks), list(trainings), weights]
    if len({len(part) for part in parts}) != 1 or not models:
        numbers = ", ".join(str(len(part)) for part in parts)
        raise ValueError(
            f"models: got {numbers} of models, contexts, clicks, trainings and weights, "
            "expected as many of each, and at least one"
        )
    if len({id(model) for model in models}) != len(models):
        raise ValueError("models: got one network twice, expected different ones")
    rows = [checked_rows(*five) for five in zip(*parts, strict=True)]
    trainings = parts[3]
    before = [{k: v.clone() for k, v in model.state_dict().items()} for model in models]
    groups: dict[Hashable, list[int]] = {}
    for i, (model, own, training) in enumerate(zip(models, rows, trainings, strict=True)):
        alike: Hashable = i
        if is_plain(model):
            form = {**model.settings, "seed": None}
            log = own.clicks.shape, own.clicks.dtype, own.weights is None
            alike = (repr(form), *log, replace(training, seed=0))
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


def _device(name: str) -> torch.device:
    """Return a device that this machine has, or refuse its name."""
    try:
        torch.empty(1, device=name).cpu()
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(
            f"device: got {name!r}, expected one on which this machine can compute"
        ) from error
    return torch.device(name)


class _Course:
    """How the training of one network goes: its losses, and its best parameters so far."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.order = torch.Generator().manual_seed(worlds.shifted(training.seed) % 2**64)
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
        for c in range(len(rows[0].columns()))
    ]
    total = rows[0].features.new_zeros(len(rows))
    for batch in zip(*columns, strict=True):
        total += step(*batch) * batch[2].shape[1]
    return [loss / n for loss in total.tolist()]
