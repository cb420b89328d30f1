"""The gradient of every arm's score: four ways to the same numbers, and the bonus made of them.

Reverse mode gives one gradient a pass, and K arms need K (``prop-sum-loses-gradients`` says why
one pass over the sum is not enough). The ways differ in who notices that the passes are alike:

=============== ============================================================================
``loop``        nobody: K forward and K backward passes
``vmap``        ``torch.func.vmap`` of ``grad`` of ``functional_call``
``batched``     ``torch.autograd.grad(..., is_grads_batched=True)`` on K outputs of one batch;
                each of K passes goes through all K rows, so it works in chunks
``closed_form`` we: one forward pass, one backward pass for the factors of all rows
                (``prop-batched-jacobian``), and outer products straight into the result
=============== ============================================================================

Shapes: K rows, d features, p parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from numpy.typing import ArrayLike
from torch import nn
from torch.func import functional_call, grad, vmap

from recsys import checks
from recsys.gradients.backprop import backpropagate
from recsys.gradients.mlp import take_apart
from recsys.gradients.rows import chunks, n_rows_within, rows_for

METHODS = ("loop", "vmap", "batched", "closed_form")
TEMPORARIES = 2**24  # bytes that a chunk of arms may take besides the result


def per_arm_gradients(
    model: nn.Module,
    X: ArrayLike | torch.Tensor,
    method: str = "closed_form",
    out: torch.Tensor | None = None,
    chunk: int | None = None,
) -> torch.Tensor:
    """Return the gradient of each row's score by the parameters (``prop-batched-jacobian``).

    Parameters
    ----------
    model : torch.nn.Module
        Maps rows (n, d) to scores (n, 1) or (n,), each row on its own. For ``closed_form`` it is
        an MLP as ``mlp.take_apart`` takes it apart.
    X : (K, d) context rows; converted to the model's dtype and device
    method : {"loop", "vmap", "batched", "closed_form"}
    out : Tensor (K, p), optional
        Where to write the result. A buffer that is used again is faster than a new one.
    chunk : int, optional
        Number of arms that go through the network together. By default as many as keep the
        temporary arrays within ``TEMPORARIES`` bytes.

    Returns
    -------
    Tensor (K, p)
        In the order of ``model.parameters()``, of the model's dtype and on its device.

    Raises
    ------
    ValueError
        If an argument has a wrong shape, dtype or value; ``out`` is then unchanged.
    """
    method, rows = checks.one_of("method", method, METHODS), rows_for(model, X)
    if rows.ndim != 2:
        raise ValueError(f"X: got shape {tuple(rows.shape)}, expected (K, d)")
    if chunk is not None:
        checks.integer("chunk", chunk, 1)
    mlp = take_apart(model) if method == "closed_form" else None
    if mlp is None:
        p = sum(value.numel() for value in model.parameters())
    else:
        p = sum(h * (w + biased) for w, h, biased in mlp.shapes)
    if out is None:
        out = rows.new_empty((len(rows), p))
    elif (out.shape, out.dtype, out.device) != ((len(rows), p), rows.dtype, rows.device):
        found = f"{out.dtype} of shape {tuple(out.shape)} on {out.device}"
        raise ValueError(f"out: got {found}, expected {rows.dtype} of shape {(len(rows), p)}")
    if mlp is not None:
        if mlp.worlds:
            raise ValueError("model: got stacked networks, expected a single one")
        per_row = sum(w + h for w, h, _ in mlp.shapes) * rows.element_size()
        with torch.no_grad():
            for part in chunks(len(rows), chunk or n_rows_within(TEMPORARIES, per_row)):
                backpropagate(mlp, rows[part]).gradients(out[part])
        return out
    try:
        with torch.no_grad():
            found = tuple(model(rows[:1]).shape)
    except RuntimeError as error:
        raise ValueError(f"X: got shape {tuple(rows.shape)}, which the model refuses") from error
    if found not in ((min(1, len(rows)), 1), (min(1, len(rows)),)):
        raise ValueError(f"model: got outputs of shape {found} for one row, expected (1, 1)")
    if chunk is None:
        chunk = n_rows_within(TEMPORARIES, 2 * p * rows.element_size())
        chunk = min(chunk, 32) if method == "batched" else chunk  # its work grows as K times chunk
    way = {"loop": _loop, "vmap": _vmap, "batched": _batched}[method]
    with torch.enable_grad():
        for part in chunks(len(rows), chunk):
            way(model, rows[part], out[part])
    return out


def _leaves(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the parameters as tensors that share memory with them and have gradients."""
    return {name: value.detach().requires_grad_() for name, value in model.named_parameters()}


def _write(gradients: Iterable[torch.Tensor], out: torch.Tensor) -> None:
    """Write gradients (k, ...) by each parameter into their columns of out (k, p)."""
    start = 0
    for gradient in gradients:
        size = gradient[0].numel()
        out[:, start : start + size] = gradient.flatten(1)
        start += size


def _loop(model: nn.Module, rows: torch.Tensor, out: torch.Tensor) -> None:
    leaves = _leaves(model)
    for k in range(len(rows)):
        score = functional_call(model, leaves, (rows[k : k + 1],)).sum()
        gradients = torch.autograd.grad(score, tuple(leaves.values()))
        _write((g[None] for g in gradients), out[k : k + 1])


def _vmap(model: nn.Module, rows: torch.Tensor, out: torch.Tensor) -> None:
    parameters = {name: value.detach() for name, value in model.named_parameters()}

    def score(values: dict, row: torch.Tensor) -> torch.Tensor:
        return functional_call(model, values, (row[None],)).sum()

    one_row: Callable = grad(score)
    _write(vmap(one_row, in_dims=(None, 0))(parameters, rows).values(), out)


def _batched(model: nn.Module, rows: torch.Tensor, out: torch.Tensor) -> None:
    leaves = _leaves(model)
    scores = functional_call(model, leaves, (rows,)).flatten()  # (k,)
    each = torch.eye(len(rows), dtype=rows.dtype, device=rows.device)
    _write(torch.autograd.grad(scores, tuple(leaves.values()), each, is_grads_batched=True), out)
