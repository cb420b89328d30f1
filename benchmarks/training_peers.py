"""Other ways to train click networks, all to the same parameters: torch's own, and NumPy by hand.

Each returns the mean loss of every epoch, (epochs,) for one network or (epochs, S) for several.
Nothing is held out, and the batches come in the order in which ``recsys.baseline.train`` has them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from recsys.baseline.click_network import ClickNetwork
from recsys.baseline.training import Training


def orders(n: int, trainings: list[Training]) -> list[torch.Tensor]:
    """Return the order of the rows (S, n) in each epoch."""
    generators = [torch.Generator().manual_seed(training.seed) for training in trainings]
    return [
        torch.stack([torch.randperm(n, generator=generator) for generator in generators])
        for _ in range(trainings[0].epochs)
    ]


def train_by_autograd(
    models: list[ClickNetwork], rows: list[np.ndarray], clicks: list, trainings: list[Training]
) -> np.ndarray:
    """Train one network after the other, as torch's tutorials do on tensors in memory."""
    losses = []
    for model, contexts, labels, training in zip(models, rows, clicks, trainings, strict=True):
        identifiers, features = model.split(contexts)
        target = torch.as_tensor(labels, dtype=features.dtype)
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
        )
        own = []
        for (order,) in orders(len(target), [training]):
            total = 0.0
            for which in order.split(training.batch_size):
                logits = model(identifiers[which], features[which])
                loss = nn.functional.binary_cross_entropy_with_logits(logits, target[which])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                total += loss.item() * len(which)
            own.append(total / len(target))
        losses.append(own)
    return np.array(losses).T


def train_by_func(
    models: list[ClickNetwork], rows: list[np.ndarray], clicks: list, trainings: list[Training]
) -> np.ndarray:
    """Train all at once by ``torch.func``: vmap of the gradient over stacked parameters."""
    parameters, _ = stack_module_state(models)
    parameters = {name: value.detach() for name, value in parameters.items()}
    first, training = models[0], trainings[0]
    split = [model.split(contexts) for model, contexts in zip(models, rows, strict=True)]
    identifiers, features = (torch.stack(column) for column in zip(*split, strict=True))
    target = torch.stack([torch.as_tensor(own, dtype=features.dtype) for own in clicks])

    def loss_of(values: dict, ids: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        logits = functional_call(first, values, (ids, x))
        return nn.functional.binary_cross_entropy_with_logits(logits, y)

    step = vmap(grad_and_value(loss_of))
    optimiser = torch.optim.AdamW(
        parameters.values(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    world, losses = torch.arange(len(models))[:, None], []
    for order in orders(target.shape[1], trainings):
        total = torch.zeros(len(models))
        for which in order.split(training.batch_size, dim=1):
            batch = (values[world, which] for values in (identifiers, features, target))
            gradients, loss = step(parameters, *batch)
            for name, value in parameters.items():
                value.grad = gradients[name]
            optimiser.step()
            total += loss * which.shape[1]
        losses.append((total / target.shape[1]).tolist())
    for i, model in enumerate(models):
        model.load_state_dict({name: value[i] for name, value in parameters.items()})
    return np.array(losses)


def train_by_numpy(
    models: list[ClickNetwork], rows: list[np.ndarray], clicks: list, trainings: list[Training]
) -> np.ndarray:
    """Train one network after the other by hand: forward, backward and AdamW in plain NumPy."""
    losses = []
    for model, contexts, labels, training in zip(models, rows, clicks, trainings, strict=True):
        found = [value.detach().numpy().copy() for value in model.parameters()]
        losses.append(_by_numpy(found, model, contexts, np.asarray(labels, np.float32), training))
        for value, own in zip(model.parameters(), found, strict=True):
            value.data.copy_(torch.from_numpy(own))
    return np.array(losses).T


def _by_numpy(
    values: list[np.ndarray],
    model: ClickNetwork,
    contexts: np.ndarray,
    labels: np.ndarray,
    training: Training,
) -> list[float]:
    identifiers, features = (tensor.numpy() for tensor in model.split(contexts))
    m, rate = identifiers.shape[1], training.learning_rate
    tables, weights, biases = values[:m], values[m::2], values[m + 1 :: 2]
    means, squares = ([np.zeros_like(v) for v in values] for _ in range(2))
    dim, steps, losses = tables[0].shape[1] if m else 0, 0, []
    for (order,) in orders(len(labels), [training]):
        total = 0.0
        for batch in order.split(training.batch_size):
            which = batch.numpy()
            ids, y = identifiers[which], labels[which]
            a = np.concatenate(
                [*(table[ids[:, i]] for i, table in enumerate(tables)), features[which]], axis=1
            )
            activations = [a]
            for w, b in zip(weights[:-1], biases[:-1], strict=True):
                a = np.maximum(a @ w.T + b, 0.0)
                activations.append(a)
            logits = (a @ weights[-1].T + biases[-1])[:, 0]
            total += float((np.logaddexp(0.0, logits) - y * logits).sum())
            delta = ((1.0 / (1.0 + np.exp(-logits)) - y) / np.float32(len(y)))[:, None]
            of_layers: list[np.ndarray] = []
            for layer in reversed(range(len(weights))):
                of_layers = [delta.T @ activations[layer], delta.sum(axis=0), *of_layers]
                delta = delta @ weights[layer]
                if layer:
                    delta *= activations[layer] > 0
            of_tables = []
            for i, table in enumerate(tables):
                gradient = np.zeros_like(table)
                np.add.at(gradient, ids[:, i], delta[:, i * dim : (i + 1) * dim])
                of_tables.append(gradient)
            steps += 1
            gradients = of_tables + of_layers
            for v, g, mean, square in zip(values, gradients, means, squares, strict=True):
                v *= 1.0 - rate * training.weight_decay
                mean += 0.1 * (g - mean)
                square += 0.001 * (g * g - square)
                size = np.sqrt(square / (1.0 - 0.999**steps)) + 1e-8
                v -= rate / (1.0 - 0.9**steps) * mean / size
        losses.append(total / len(labels))
    return losses
