"""One step of training a click network, written out: backpropagation and AdamW without autograd.

In a small network the calls of automatic differentiation and new memory cost more than the
arithmetic. Here every product goes into an array that is used again, and by the same kernels of
torch in the same order, so that the parameters after the step are those of autograd and
``torch.optim.AdamW`` to the last bit.

Shapes: B rows of a batch, m id columns, e numbers in an embedding, h_l units in layer l.
"""

from __future__ import annotations

import torch
from torch import nn

from recsys.baseline.click_network import ClickNetwork


def is_plain(model: nn.Module) -> bool:
    """Tell whether the step below is the model's: a click network on the CPU, nothing frozen."""
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
    return (
        layers
        and tables
        and own
        and all(v.requires_grad and v.dtype == torch.float32 and v.is_cpu for v in values)
    )


class Arrays:
    """What a step on batches of one size writes to, and views of it that are made once."""

    def __init__(
        self, size: int, dim: int, tables: list[torch.Tensor], weights: list[torch.Tensor]
    ) -> None:
        widths = [weights[0].shape[1], *(len(weight) for weight in weights)]
        self.a, self.delta = ([torch.empty(size, w) for w in widths] for _ in range(2))
        self.vectors = [torch.empty(size, dim) for _ in tables]  # of one id column
        cuts = [dim] * len(tables) + [widths[0] - dim * len(tables)]
        *self.embedded, self.features = self.a[0].split(cuts, dim=1)
        *self.embedded_delta, _ = self.delta[0].split(cuts, dim=1)
        self.logits = self.a[-1][:, 0]
        self.delta_T, self.weights_T = [d.T for d in self.delta], [w.T for w in weights]


class ClosedFormStep:
    """Changes the parameters of a plain click network by one step of AdamW on the mean log loss.

    Parameters
    ----------
    model : ClickNetwork
        One for which ``is_plain`` holds.
    learning_rate, weight_decay : float
        As for ``torch.optim.AdamW``.
    """

    def __init__(self, model: ClickNetwork, learning_rate: float, weight_decay: float) -> None:
        values = [value.detach() for value in model.parameters()]  # share the model's memory
        m = len(model.embeddings)
        self.tables, self.weights, self.biases = values[:m], values[m::2], values[m + 1 :: 2]
        self.dim = model.settings["embedding_dim"]
        self.values, self.gradients = values, [torch.zeros_like(value) for value in values]
        self.moments = [[torch.zeros_like(value) for value in values] for _ in range(2)]
        self.count = torch.zeros(())  # steps so far
        self.rates = {"lr": learning_rate, "weight_decay": weight_decay}
        self.arrays: dict[int, Arrays] = {}  # by the size of the batch

    def __call__(
        self, identifiers: torch.Tensor, features: torch.Tensor, clicks: torch.Tensor
    ) -> torch.Tensor:
        """Make one step on rows (B, m), (B, d) with clicks (B,); return their mean loss before."""
        size = len(clicks)
        if size not in self.arrays:
            self.arrays[size] = Arrays(size, self.dim, self.tables, self.weights)
        with torch.no_grad():
            columns = identifiers.T.contiguous()
            loss = self._forward(self.arrays[size], columns, features, clicks)
            self._backward(self.arrays[size], columns, clicks)
            self._descend()
        return loss

    def _forward(
        self, at: Arrays, columns: torch.Tensor, features: torch.Tensor, clicks: torch.Tensor
    ) -> torch.Tensor:
        for table, ids, vector, place in zip(
            self.tables, columns, at.vectors, at.embedded, strict=True
        ):
            torch.index_select(table, 0, ids, out=vector)
            place.copy_(vector)
        at.features.copy_(features)
        for below, above, weight, bias in zip(
            at.a, at.a[1:], at.weights_T, self.biases, strict=False
        ):
            torch.addmm(bias, below, weight, out=above)  # a_l = ReLU(W_l a_{l-1} + b_l)
            if above is not at.a[-1]:
                above.relu_()
        return nn.functional.binary_cross_entropy_with_logits(at.logits, clicks)

    def _backward(self, at: Arrays, columns: torch.Tensor, clicks: torch.Tensor) -> None:
        m, delta = len(self.tables), at.delta
        torch.sigmoid(at.a[-1], out=delta[-1])
        delta[-1].sub_(clicks[:, None]).div_(len(clicks))  # δ_L = (σ(z) - r) / B
        for i in reversed(range(len(self.weights))):
            torch.mm(at.delta_T[i + 1], at.a[i], out=self.gradients[m + 2 * i])
            torch.sum(delta[i + 1], 0, out=self.gradients[m + 2 * i + 1])
            if i or m:  # δ_l = W_{l+1}ᵀ δ_{l+1}, zero where the ReLU was off
                torch.mm(delta[i + 1], self.weights[i], out=delta[i])
            if i:
                torch.ops.aten.threshold_backward.grad_input(
                    delta[i], at.a[i], 0.0, grad_input=delta[i]
                )
        for gradient, ids, vector, place in zip(
            self.gradients, columns, at.vectors, at.embedded_delta, strict=False
        ):
            gradient.zero_().index_add_(0, ids, vector.copy_(place))

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
