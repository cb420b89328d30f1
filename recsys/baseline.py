"""Embedding + MLP: the click model of chapter 1, its training, and the policy it makes.

Training works on whole tensors with shuffled indices: no Python loop over rows, no Dataset object.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from recsys import checks
from recsys.policies import ScoringPolicy


class ClickNetwork(nn.Module):
    """One score for a context row: embeddings of its ids, its features, and an MLP on top.

    A context row is (id_1, ..., id_m, feature_1, ..., feature_d): the first columns are ids, one
    for each entry of ``vocabularies`` (``eq-click-network``).

    Parameters
    ----------
    vocabularies : tuple of int
        How many ids each id column may take; () for a model on features alone.
    n_features : int
        Number of feature columns d.
    embedding_dim : int
        Length of an embedding vector.
    hidden : tuple of int
        Widths of the hidden layers.
    embedding_scale : float
        Standard deviation of the embeddings' initial values.
    seed : int
        Seed of the initial parameters; the global torch generator is left alone.

    Raises
    ------
    ValueError
        If a size is not a positive integer, or the row would be empty.
    """

    def __init__(
        self,
        vocabularies: tuple[int, ...] = (),
        n_features: int = 0,
        embedding_dim: int = 8,
        hidden: tuple[int, ...] = (64, 32),
        embedding_scale: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.settings = {
            "vocabularies": tuple(checks.integer("vocabularies", v, 1) for v in vocabularies),
            "n_features": checks.integer("n_features", n_features, 0),
            "embedding_dim": checks.integer("embedding_dim", embedding_dim, 1),
            "hidden": tuple(checks.integer("hidden", h, 1) for h in hidden),
            "embedding_scale": checks.number("embedding_scale", embedding_scale, 0.0, 10.0),
            "seed": checks.integer("seed", seed, 0),
        }
        width = len(vocabularies) * embedding_dim + n_features
        if width == 0:
            raise ValueError("n_features: got 0 without vocabularies, expected at least one input")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embeddings = nn.ModuleList(nn.Embedding(v, embedding_dim) for v in vocabularies)
            for table in self.embeddings:
                nn.init.normal_(table.weight, std=embedding_scale)
            layers: list[nn.Module] = []
            for size in hidden:
                layers += [nn.Linear(width, size), nn.ReLU()]
                width = size
            self.mlp = nn.Sequential(*layers, nn.Linear(width, 1))

    @property
    def row_length(self) -> int:
        """Number of columns of a context row."""
        return len(self.embeddings) + self.settings["n_features"]

    def split(self, contexts: ArrayLike) -> tuple[torch.Tensor, torch.Tensor]:
        """Return checked ids (n, m) and features (n, d) of context rows, on the model's device."""
        rows = checks.finite("contexts", contexts, (None, self.row_length))
        m = len(self.embeddings)
        identifiers = rows[:, :m].astype(np.int64)
        if not np.array_equal(identifiers, rows[:, :m]):
            raise ValueError("contexts: got ids with a fraction, expected whole numbers")
        for column, size in zip(identifiers.T, self.settings["vocabularies"], strict=True):
            checks.ids("contexts", column, size)
        device = self.mlp[-1].weight.device
        features = torch.as_tensor(rows[:, m:], dtype=torch.float32, device=device)
        return torch.as_tensor(identifiers, device=device), features

    def forward(self, identifiers: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return the logits (n,) of rows given as ids (n, m) and features (n, d)."""
        vectors = [table(identifiers[:, i]) for i, table in enumerate(self.embeddings)]
        return self.mlp(torch.cat([*vectors, features], dim=1)).squeeze(1)

    def predict(self, contexts: ArrayLike, chunk: int = 65_536) -> np.ndarray:
        """Return click probabilities (...,) for context rows (..., columns)."""
        contexts = checks.finite("contexts", contexts)
        if contexts.ndim == 0 or contexts.shape[-1] != self.row_length:
            raise ValueError(
                f"contexts: got shape {contexts.shape}, expected (..., {self.row_length})"
            )
        flat = contexts.reshape(-1, self.row_length)
        with torch.no_grad():
            parts = [
                torch.sigmoid(self(*self.split(flat[i : i + chunk]))).cpu().numpy()
                for i in range(0, len(flat), chunk)
            ]
        out = np.concatenate(parts) if parts else np.zeros(0)
        return out.astype(float).reshape(contexts.shape[:-1])

    def save(self, path: str | Path) -> None:
        """Write settings and parameters to an ``.npz`` archive of plain arrays."""
        arrays = {name: value.cpu().numpy() for name, value in self.state_dict().items()}
        np.savez(path, settings=np.array(json.dumps(self.settings)), **arrays)

    @classmethod
    def load(cls, path: str | Path) -> ClickNetwork:
        """Read what ``save`` wrote. Nothing is unpickled, so no code can run."""
        with np.load(path, allow_pickle=False) as archive:
            settings = json.loads(str(archive["settings"]))
            state = {k: torch.from_numpy(archive[k]) for k in archive.files if k != "settings"}
        settings["vocabularies"] = tuple(settings["vocabularies"])
        settings["hidden"] = tuple(settings["hidden"])
        model = cls(**settings)
        model.load_state_dict(state)
        return model


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


def train(
    model: ClickNetwork,
    contexts: ArrayLike,
    clicks: ArrayLike,
    training: Training | None = None,
    progress: bool = False,
) -> History:
    """Fit a click network by minimising the mean log loss (``eq-bce``), in place.

    Parameters
    ----------
    model : ClickNetwork
        Trained on the device that its parameters are on.
    contexts : (n, columns) rows in order of time
    clicks : (n,) zeros and ones
    training : Training, optional
    progress : bool
        Print one line an epoch.

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
    identifiers, features = model.split(contexts)
    if len(identifiers) != len(labels):
        raise ValueError(f"contexts: got {len(identifiers)} rows, expected {len(labels)}")
    target = torch.as_tensor(labels, dtype=torch.float32, device=features.device)
    n_validation = round(training.validation_fraction * len(labels))
    n_train = len(labels) - n_validation  # time-ordered: the last rows validate
    optimiser = torch.optim.AdamW(
        model.parameters(),
        lr=training.learning_rate,
        weight_decay=training.weight_decay,
        fused=True,
    )
    loss_of = nn.BCEWithLogitsLoss()
    order = torch.Generator().manual_seed(training.seed)
    history = History([], [], 0)
    best, kept, best_epoch = np.inf, None, 0
    for epoch in range(training.epochs):
        shuffled = torch.randperm(n_train, generator=order).to(features.device)
        total = torch.zeros((), device=features.device)
        for rows in shuffled.split(training.batch_size):
            loss = loss_of(model(identifiers[rows], features[rows]), target[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total += loss.detach() * len(rows)
        history.training.append(float(total) / n_train)
        if n_validation:
            with torch.no_grad():
                held_out = loss_of(
                    model(identifiers[n_train:], features[n_train:]), target[n_train:]
                )
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
    model.load_state_dict(kept)
    return History(history.training, history.validation, best_epoch)


class ModelPolicy(ScoringPolicy):
    """Greedy on a trained click network, which it never changes."""

    def __init__(
        self, model: ClickNetwork, n_arms: int, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__(n_arms, rng=rng)
        self.model = model

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return the predicted click probabilities (..., K)."""
        return self.model.predict(contexts)
