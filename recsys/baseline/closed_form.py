"""Steps of training for S click networks at once, written out: no autograd, no new memory.

In a small network the calls of automatic differentiation cost more than the arithmetic. Here the
networks of S worlds stand in one array each, every product of matrices is one call for all of them
and goes into an array that is used again, and one call moves all parameters. How much that wins
depends on the batch: the book measures it in its appendix on a hundred worlds.

Shapes: S networks, B rows of a batch each, m id columns, d features, e numbers in an embedding, h_l
units in layer l.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as log_loss

from recsys.baseline.click_network import ClickNetwork

ROWS_TOGETHER, NETWORKS_TOGETHER = 2**15, 32  # rows in the batches of all networks; networks
LARGE_BATCH = 4_096  # rows of a batch from which on networks together win little


def is_plain(model: nn.Module) -> bool:
    """Tell whether the steps below are the model's: a click network on the CPU, nothing frozen."""
    if type(model) is not ClickNetwork:
        return False
    kinds, values = [type(module) for module in model.mlp], list(model.parameters())
    layers = kinds == [nn.Linear, nn.ReLU] * (len(kinds) // 2) + [nn.Linear]
    tables = all(
        type(table) is nn.Embedding
        and (table.padding_idx, table.max_norm, table.scale_grad_by_freq) == (None, None, False)
        for table in model.embeddings
    )
    own = len(values) == len(model.embeddings) + len(kinds) + 1  # none left out, none shared
    plain = all(v.requires_grad and v.dtype == values[0].dtype and v.is_cpu for v in values)
    return layers and tables and own and plain


def how_many_together(batch_size: int) -> int:
    """Return how many networks are trained at once: more than one where their batches are small.

    Then the calls, which are one for all, take the larger part of the time.
    """
    if batch_size >= LARGE_BATCH:
        return 1
    return min(max(ROWS_TOGETHER // batch_size, 1), NETWORKS_TOGETHER)


class Arrays:
    """What a step on batches of one size writes to, and views of it that are made once."""

    def __init__(self, size: int, step: ClosedFormStep) -> None:
        S, like = step.S, step.weights[0]
        widths = [like.shape[-1], *(weight.shape[1] for weight in step.weights)]
        self.a, self.delta = ([like.new_empty(S, size, w) for w in widths] for _ in range(2))
        self.vectors = [like.new_empty(S * size, step.dim) for _ in step.tables]  # of an id column
        cuts = [step.dim] * len(step.tables)
        cuts.append(widths[0] - sum(cuts))
        *self.embedded, self.features = self.a[0].split(cuts, dim=-1)
        *self.embedded_delta, _ = self.delta[0].split(cuts, dim=-1)
        self.logits = self.a[-1][..., 0]
        self.delta_T, self.weights_T = [d.mT for d in self.delta], [w.mT for w in step.weights]


class ClosedFormStep:
    """Changes the parameters of S click networks of one shape by one step of AdamW each.

    The networks themselves stay as they are; ``state`` gives what has become of them.

    Parameters
    ----------
    models : sequence of ClickNetwork
        For all of which ``is_plain`` holds, with equal settings but for the seed.
    learning_rate, weight_decay : float
        As for ``torch.optim.AdamW``.
    """

    def __init__(
        self, models: Sequence[ClickNetwork], learning_rate: float, weight_decay: float
    ) -> None:
        self.dim = models[0].settings["embedding_dim"]
        self.m = len(models[0].embeddings)
        self.names = [name for name, _ in models[0].named_parameters()]
        every = zip(*(model.parameters() for model in models), strict=True)
        self.values = [torch.stack([v.detach() for v in values]) for values in every]  # (S, ...)
        self.moments = [[torch.zeros_like(value) for value in self.values] for _ in range(2)]
        self.count = torch.zeros(())  # steps so far
        self.rates = {"lr": learning_rate, "weight_decay": weight_decay}
        self._arrange()

    def _arrange(self) -> None:
        """Make what depends on which networks there are."""
        self.S = len(self.values[0])
        tables, rest = self.values[: self.m], self.values[self.m :]
        self.tables = [table.flatten(0, 1) for table in tables]  # views (S n_ids, e)
        self.first = [len(table[0]) * torch.arange(self.S)[:, None] for table in tables]
        self.weights, self.biases = rest[::2], [bias[:, None] for bias in rest[1::2]]
        self.gradients = [torch.zeros_like(value) for value in self.values]
        self.table_gradients = [g.flatten(0, 1) for g in self.gradients[: self.m]]
        self.weight_gradients = self.gradients[self.m :: 2]
        self.bias_gradients = [g[:, None] for g in self.gradients[self.m + 1 :: 2]]
        self.arrays: dict[int, Arrays] = {}  # by the size of the batch

    def keep(self, which: list[int]) -> None:
        """Go on with some of the networks only."""
        self.values = [value[which] for value in self.values]
        self.moments = [[value[which] for value in moment] for moment in self.moments]
        self._arrange()

    def state(self, network: int) -> dict[str, torch.Tensor]:
        """Return a copy of one network's parameters, as its ``state_dict`` names them."""
        values = (value[network].clone() for value in self.values)
        return dict(zip(self.names, values, strict=True))

    def __call__(
        self,
        identifiers: torch.Tensor,
        features: torch.Tensor,
        clicks: torch.Tensor,
        weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Make one step on ids (S, B, m), features (S, B, d), clicks (S, B) and weights (S, B).

        As for ``AutogradStep`` a network's loss is Σ w l / B; without weights all are 1.

        Returns
        -------
        Tensor (S,)
            The mean losses before the step.
        """
        with torch.no_grad():
            ids = self._ids(identifiers)
            losses = self._forward(ids, features, clicks, weights)
            self._backward(ids, clicks, weights)
            self._descend()
        return losses

    def losses(
        self,
        identifiers: torch.Tensor,
        features: torch.Tensor,
        clicks: torch.Tensor,
        weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the mean losses (S,) of rows as for a step, without one."""
        with torch.no_grad():
            return self._forward(self._ids(identifiers), features, clicks, weights)

    def _ids(self, identifiers: torch.Tensor) -> list[torch.Tensor]:
        """Return for each id column the places (S B,) of the ids in the tables of all networks."""
        return [(identifiers[..., i] + first).flatten() for i, first in enumerate(self.first)]

    def _forward(
        self,
        ids: list[torch.Tensor],
        features: torch.Tensor,
        clicks: torch.Tensor,
        weights: torch.Tensor | None,
    ) -> torch.Tensor:
        size = clicks.shape[1]
        if size not in self.arrays:
            self.arrays[size] = Arrays(size, self)
        at = self.arrays[size]
        for table, rows, vectors, place in zip(
            self.tables, ids, at.vectors, at.embedded, strict=True
        ):
            torch.index_select(table, 0, rows, out=vectors)
            place.copy_(vectors.view_as(place))
        at.features.copy_(features)
        for below, above, weight, bias in zip(
            at.a, at.a[1:], at.weights_T, self.biases, strict=False
        ):
            torch.baddbmm(bias, below, weight, out=above)  # a_l = ReLU(W_l a_{l-1} + b_l)
            if above is not at.a[-1]:
                above.relu_()
        losses = log_loss(at.logits, clicks, weight=weights, reduction="none")
        return losses.mean(dim=1)

    def _backward(
        self, ids: list[torch.Tensor], clicks: torch.Tensor, weights: torch.Tensor | None
    ) -> None:
        at = self.arrays[clicks.shape[1]]
        delta = at.delta
        torch.sigmoid(at.a[-1], out=delta[-1])
        delta[-1].sub_(clicks[..., None]).div_(clicks.shape[1])  # δ_L = w (σ(z) - r) / B
        if weights is not None:
            delta[-1].mul_(weights[..., None])
        for i in reversed(range(len(self.weights))):
            torch.bmm(at.delta_T[i + 1], at.a[i], out=self.weight_gradients[i])
            torch.sum(delta[i + 1], 1, keepdim=True, out=self.bias_gradients[i])
            if i or self.m:  # δ_l = W_{l+1}ᵀ δ_{l+1}, zero where the ReLU was off
                torch.bmm(delta[i + 1], self.weights[i], out=delta[i])
            if i:
                torch.ops.aten.threshold_backward.grad_input(
                    delta[i], at.a[i], 0.0, grad_input=delta[i]
                )
        for gradient, rows, vectors, place in zip(
            self.table_gradients, ids, at.vectors, at.embedded_delta, strict=True
        ):
            gradient.zero_().index_add_(0, rows, vectors.view_as(place).copy_(place).flatten(0, 1))

    def _descend(self) -> None:
        """AdamW (Loshchilov & Hutter 2019, Algorithm 2), in the one call that torch makes of it."""
        self.count += 1
        torch._fused_adamw_(
            self.values,
            self.gradients,
            *self.moments,
            [],
            [self.count] * len(self.values),
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
            **self.rates,
        )
