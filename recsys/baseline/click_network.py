"""Embedding + MLP: the click model of chapter 1."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import expit
from torch import nn
from torch.nn.utils import skip_init

from recsys import archive, checks, worlds

MAX_FLOAT32 = float(np.finfo(np.float32).max)


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
        embedding_dim: int = 16,
        hidden: tuple[int, ...] = (64, 32),
        embedding_scale: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, sizes in (("vocabularies", vocabularies), ("hidden", hidden)):
            if not isinstance(sizes, tuple | list):
                raise ValueError(f"{name}: got {sizes!r}, expected a tuple of integers")
        self.settings = {
            "vocabularies": tuple(checks.integer("vocabularies", v, 1) for v in vocabularies),
            "n_features": checks.integer("n_features", n_features, 0),
            "embedding_dim": checks.integer("embedding_dim", embedding_dim, 1),
            "hidden": tuple(checks.integer("hidden", h, 1) for h in hidden),
            "embedding_scale": checks.number("embedding_scale", embedding_scale, 0.0, 10.0),
            "seed": checks.integer("seed", seed, 0, 2**64 - 1),
        }
        dim, width = self.settings["embedding_dim"], self.settings["n_features"]
        width += len(vocabularies) * dim
        if width == 0:
            raise ValueError("n_features: got 0 without vocabularies, expected at least one input")
        self.embeddings = nn.ModuleList(
            skip_init(nn.Embedding, size, dim) for size in self.settings["vocabularies"]
        )
        layers: list[nn.Module] = []
        for size in self.settings["hidden"]:
            layers += [skip_init(nn.Linear, width, size), nn.ReLU()]
            width = size
        self.mlp = nn.Sequential(*layers, skip_init(nn.Linear, width, 1))
        self._draw(self.settings["seed"], self.settings["embedding_scale"])

    def _draw(self, seed: int, embedding_scale: float) -> None:
        """Draw the initial parameters as torch would after ``torch.manual_seed(seed)``.

        The generator is the network's own: other threads may draw from torch's meanwhile.
        """
        draws = torch.Generator().manual_seed(worlds.shifted(seed) % 2**64)
        for scale in (1.0, embedding_scale):  # torch draws each table once by itself
            for table in self.embeddings:
                nn.init.normal_(table.weight, std=scale, generator=draws)
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                bound = 1 / math.sqrt(layer.in_features)
                nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=draws)
                nn.init.uniform_(layer.bias, -bound, bound, generator=draws)

    @property
    def row_length(self) -> int:
        """Number of columns of a context row."""
        return len(self.embeddings) + self.settings["n_features"]

    def split(self, contexts: ArrayLike) -> tuple[torch.Tensor, torch.Tensor]:
        """Return checked ids (n, m) and features (n, d) of context rows, on the model's device."""
        rows = checks.finite("contexts", contexts, (None, self.row_length))
        m = len(self.embeddings)
        sizes = self.settings["vocabularies"]
        columns = [checks.whole("contexts", rows[:, i], size) for i, size in enumerate(sizes)]
        identifiers = np.stack(columns, axis=1) if m else np.zeros((len(rows), 0), dtype=np.int64)
        like = self.mlp[-1].weight
        if like.dtype == torch.float32 and np.abs(rows).max(initial=0.0) > MAX_FLOAT32:
            raise ValueError("contexts: got a feature beyond single precision, expected less")
        features = torch.tensor(rows[:, m:], dtype=like.dtype, device=like.device)
        return torch.as_tensor(identifiers, device=like.device), features

    def forward(self, identifiers: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return the logits (n,) of rows given as ids (n, m) and features (n, d)."""
        vectors = [table(identifiers[:, i]) for i, table in enumerate(self.embeddings)]
        return self.mlp(torch.cat([*vectors, features], dim=1)).squeeze(1)

    def logits(self, contexts: ArrayLike, chunk: int = 65_536) -> np.ndarray:
        """Return the logits (...,) of context rows (..., columns), to decide and to judge by.

        In single precision a probability is 1 from a logit of about 17 on, in double precision
        from about 37; logits tell apart what their probabilities do not.

        Raises
        ------
        ValueError
            If a row does not fit, or its logit is beyond the precision of the parameters.
        """
        contexts = checks.finite("contexts", contexts)
        if contexts.ndim == 0 or contexts.shape[-1] != self.row_length:
            raise ValueError(
                f"contexts: got shape {contexts.shape}, expected (..., {self.row_length})"
            )
        chunk = checks.integer("chunk", chunk, 1)
        flat = contexts.reshape(-1, self.row_length)
        with torch.no_grad():
            parts = [
                self(*self.split(flat[i : i + chunk])).cpu().double().numpy()
                for i in range(0, len(flat), chunk)
            ]
        out = np.concatenate(parts) if parts else np.zeros(0)
        if not np.isfinite(out).all():
            raise ValueError(
                "contexts: got rows whose logits are NaN or infinity, "
                "expected smaller features, or finite parameters"
            )
        return out.reshape(contexts.shape[:-1])

    def predict(self, contexts: ArrayLike, chunk: int = 65_536) -> np.ndarray:
        """Return click probabilities (...,) for context rows (..., columns).

        The sigmoid of ``logits`` in double precision, so ``1 - p`` is right to 1e-16.
        """
        return expit(self.logits(contexts, chunk))

    def save(self, path: str | Path) -> None:
        """Write settings and parameters to an ``.npz`` archive of plain arrays."""
        archive.save(path, self.settings, {"parameters": list(self.state_dict().values())})

    @classmethod
    def load(cls, path: str | Path) -> ClickNetwork:
        """Read what ``save`` wrote. Nothing is unpickled, so no code can run."""
        settings, groups = archive.load(path)
        saved = [torch.as_tensor(array) for group in groups.values() for array in group]
        model = cls(**settings).to(saved[0].dtype if saved else None)
        model.load_state_dict(dict(zip(model.state_dict(), saved, strict=True)))
        return model
