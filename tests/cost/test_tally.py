import numpy as np
import pytest
import torch
from torch import nn

from recsys.cost.tally import Tally, count
from recsys.gradients.jacobian import METHODS, per_arm_gradients
from recsys.gradients.mlp import take_apart


def small(bias: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8, bias=bias), nn.ReLU(), nn.Linear(8, 1, bias=bias)).double()


def counts(make) -> tuple[int, int, int, int]:
    with Tally() as tally:
        result = make()
    del result
    return tally.calls, tally.flops, tally.moved, tally.peak


@pytest.mark.parametrize(
    ("make", "flops"),
    [
        (lambda a, b: a @ b, 3 * 2 * (2 * 4 - 1)),
        (lambda a, b: torch.addmm(torch.zeros(2), a, b), 3 * 2 * (2 * 4 - 1) + 3 * 2),
        (lambda a, b: a @ b[:, 0], 3 * (2 * 4 - 1)),
        (lambda a, b: a[:, :0] @ b[:0], 0),
        (lambda a, b: a[0] @ b[:, 0], 2 * 4 - 1),
        (lambda a, b: torch.bmm(a.expand(6, 3, 4), b.expand(6, 4, 2)), 6 * 3 * 2 * (2 * 4 - 1)),
        (lambda a, b: torch.zeros(3, 2).addr_(a[:, 0], b[0]), 3 * 3 * 2),
        (lambda a, b: a * a, 12),
        (lambda a, b: a[:, None] * a, 36),
        (lambda a, b: a.square_(), 12),
        (lambda a, b: a.sum(dim=0), 12),
        (lambda a, b: a.mT.reshape(-1).clone(), 0),
    ],
)
def test_operations_are_those_of_the_textbook(make, flops: int):
    a, b = torch.ones(3, 4), torch.ones(4, 2)
    with Tally() as tally:
        make(a, b)
    assert tally.flops == flops


def test_count_is_the_tally_of_one_call():
    work = lambda: torch.ones(3, 4) @ torch.ones(4, 2)  # noqa: E731
    tally = count(work)
    assert (tally.calls, tally.flops, tally.moved, tally.peak) == counts(work)
    assert tally.flops == 3 * 2 * (2 * 4 - 1)


def test_bytes_are_those_of_arguments_and_results():
    a, b = torch.ones(3, 4), torch.ones(4, 2)
    assert counts(lambda: a @ b) == (1, 42, 4 * (12 + 8 + 6), 4 * 6)
    assert counts(lambda: a.mT) == (1, 0, 0, 0)  # a view moves nothing
    assert counts(lambda: torch.mul(a, 2.0, out=a)) == (1, 12, 4 * (12 + 12), 0)
    assert counts(lambda: a.new_empty(100)) == (1, 0, 0, 400)


def test_peak_is_the_most_that_lives_at_one_time():
    def one_after_the_other() -> torch.Tensor:
        for _ in range(5):
            x = torch.ones(10).square()  # 2 × 40 bytes, and 40 of the last x
        return x

    def together() -> list[torch.Tensor]:
        return [torch.ones(10) for _ in range(5)]

    with Tally() as tally:
        one_after_the_other()
    assert tally.peak == 120
    assert counts(together)[3] == 200


def test_what_autograd_keeps_counts():
    x = torch.ones(100, requires_grad=True)

    def chain(n: int) -> torch.Tensor:
        y = x
        for _ in range(n):
            y = y.square()
        return y

    assert counts(lambda: chain(10))[3] == 10 * 400
    with torch.no_grad():
        assert counts(lambda: chain(10))[3] == 2 * 400


@pytest.mark.parametrize("method", METHODS)
def test_the_result_is_not_changed_and_counts_repeat(method: str):
    model, X = small(), torch.from_numpy(np.random.default_rng(0).standard_normal((7, 5)))
    expected = per_arm_gradients(model, X, method)
    with Tally() as tally:
        found = per_arm_gradients(model, X, method)
    assert torch.equal(found, expected)
    again = [counts(lambda: per_arm_gradients(model, X, method)) for _ in range(2)]
    assert again[0] == again[1] == (tally.calls, tally.flops, tally.moved, tally.peak)


def test_peak_agrees_with_the_profiler_of_torch():
    model, X = small(), torch.ones(64, 5, dtype=torch.float64)
    for method in ("vmap", "closed_form"):
        per_arm_gradients(model, X, method)
        with torch.profiler.profile(profile_memory=True) as profile:
            kept = per_arm_gradients(model, X, method)
        del kept
        events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
        sizes = [e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())]
        peak = counts(lambda: per_arm_gradients(model, X, method))[3]  # noqa: B023
        assert abs(peak / np.cumsum(sizes).max() - 1) < 0.05


def test_the_closed_form_and_the_loop_count_the_same_operations():
    model, X = small(bias=False), torch.ones(500, 5, dtype=torch.float64)
    flops = [counts(lambda m=m: per_arm_gradients(model, X, m))[1] for m in ("loop", "closed_form")]
    p, first = sum(w.numel() for w in take_apart(model).weights), 8 * 5
    by_hand = 2 * p + 2 * (p - first) + p  # forward, deltas, outer products
    assert abs(flops[0] / flops[1] - 1) < 0.1
    assert abs(flops[1] / (500 * by_hand) - 1) < 0.15
