import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import joblib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from joblib.parallel import ParallelBackendBase

from recsys.lab.experiment import run
from recsys.lab.parallel import over_cases, over_seeds, stack
from recsys.neural import NeuralUCB, Schedule
from recsys.shop import JointFeatures, Shop, ShopConfig
from recsys.shop.records import Trace
from strategies import few, refuses


@dataclass(frozen=True)
class Result:
    """Something that an experiment may return for a seed."""

    rate: float
    curve: np.ndarray


@few
@given(seeds=st.lists(st.integers(0, 99), min_size=1, max_size=6))
def test_results_come_in_the_order_of_the_seeds_and_keep_their_form(seeds: list[int]):
    result = over_seeds(
        lambda seed: {"square": seed**2, "row": np.arange(3) * seed, "deep": {"x": 0.5 * seed}},
        seeds,
        n_jobs=1,
        progress=False,
    )
    assert result["square"].tolist() == [seed**2 for seed in seeds]
    assert result["row"].tolist() == [[0, seed, 2 * seed] for seed in seeds]
    assert result["deep"]["x"].tolist() == [0.5 * seed for seed in seeds]


def neural(seed: int) -> dict[str, np.ndarray | int]:
    """Play a network of the book for a while, where threads would change the last digits."""
    shops = [Shop(ShopConfig(n_users=50, n_products=30), seed)]
    views = [JointFeatures(shop) for shop in shops]
    schedule = Schedule(steps=20, every=5)
    agent = NeuralUCB(views[0].n_features, hidden=(64, 64), schedule=schedule, n_worlds=1)
    trace = run(shops, agent, views, 0, 40)
    parameters = [value.detach().numpy() for value in agent.model.parameters()]
    return {"arms": trace.arms, "first": parameters[0], "threads": torch.get_num_threads()}


@pytest.mark.parametrize("threads", [1, 2])
def test_results_do_not_depend_on_processes_nor_on_the_threads_of_the_caller(threads: int):
    before = torch.get_num_threads()
    expected = over_seeds(neural, range(2), n_jobs=1, progress=False)
    torch.set_num_threads(threads)
    try:
        for jobs in (1, 2):
            found = over_seeds(neural, range(2), n_jobs=jobs, progress=False)
            assert found["threads"].tolist() == [1, 1]
            assert np.array_equal(found["arms"], expected["arms"])
            assert np.array_equal(found["first"], expected["first"])
        assert torch.get_num_threads() == threads  # the caller's own are as they were
    finally:
        torch.set_num_threads(before)


def test_the_callers_threads_are_as_they_were_after_a_failure():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ZeroDivisionError):
            over_seeds(lambda seed: 1 / 0, [0], n_jobs=1, progress=False)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_two_processes_return_what_one_returns_in_the_same_order():
    def slow_start(seed: int) -> np.ndarray:
        import time

        time.sleep(0.05 * (seed == 0))  # the first seed is ready last
        return np.random.default_rng(seed).random(3)

    one, two = (over_seeds(slow_start, range(5), n_jobs=jobs, progress=False) for jobs in (1, 2))
    assert np.array_equal(one, two)


def test_twenty_seeds_are_the_default():
    assert over_seeds(lambda seed: seed, n_jobs=1, progress=False).tolist() == list(range(20))


def test_dataclasses_are_stacked_field_by_field():
    traces = [Trace(*(np.full(4, 10 * s + f) for f in range(4))) for s in range(3)]
    stacked = stack(traces)
    assert type(stacked) is Trace
    for f, name in enumerate(("arms", "rewards", "mu", "best")):
        assert getattr(stacked, name).tolist() == [[10 * s + f] * 4 for s in range(3)]
    results = stack([Result(0.1, np.zeros(2)), Result(0.2, np.ones(2))])
    assert results.rate.tolist() == [0.1, 0.2]
    assert results.curve.tolist() == [[0, 0], [1, 1]]


def test_what_cannot_be_stacked_is_kept_as_a_list():
    assert stack(["a", "b"]) == ["a", "b"]
    things = [object(), object()]
    assert stack([{"model": thing} for thing in things]) == {"model": things}


def test_numbers_of_every_kind_become_an_array():
    for numbers in ([1, 2], [0.5, 1.5], [np.float64(1), np.float64(2)], [True, False]):
        assert stack(numbers).tolist() == numbers


def test_a_failing_seed_is_not_passed_over():
    def fails(seed: int) -> int:
        if seed == 2:
            raise ArithmeticError("seed 2")
        return seed

    with pytest.raises(ArithmeticError, match="seed 2"):
        over_seeds(fails, range(4), n_jobs=1, progress=False)


@pytest.mark.parametrize(("progress", "shown"), [(True, True), (False, False), (None, False)])
def test_the_bar_is_shown_on_request_and_not_in_a_file(
    capsys: pytest.CaptureFixture[str], progress: bool | None, shown: bool
):
    over_seeds(lambda seed: seed, range(3), n_jobs=1, progress=progress)
    captured = capsys.readouterr()
    assert ("3/3" in captured.err) is shown
    assert captured.out == ""


@pytest.mark.parametrize(
    "seeds", [[], [-1], [0.5], [1.0], [True], ["3"], [None], [np.nan], [0, 1, -2], 5]
)
def test_seeds_that_are_none_are_refused_before_anything_runs(seeds: object):
    ran: list[int] = []
    with refuses("seeds"):
        over_seeds(ran.append, seeds, n_jobs=1, progress=False)
    assert ran == []


def test_no_process_at_all_is_refused():
    with refuses("n_jobs"):
        over_seeds(lambda seed: seed, [0], n_jobs=0, progress=False)


def test_nothing_cannot_be_stacked():
    with refuses("results"):
        stack([])


def test_cases_keep_their_names_and_their_order_in_any_number_of_processes():
    def slow_start(case: tuple[str, int]) -> str:
        import time

        time.sleep(0.05 * (case[1] == 2))  # the first case is ready last
        return case[0] * case[1]

    cases = [("b", 2), ("a", 1), ("c", 3)]
    for jobs in (1, 2):
        results = over_cases(slow_start, cases, n_jobs=jobs, progress=False)
        assert list(results.items()) == [(("b", 2), "bb"), (("a", 1), "a"), (("c", 3), "ccc")]


@pytest.mark.parametrize("cases", [[], ["a", "b", "a"], 5, None])
def test_no_case_or_the_same_twice_is_refused_before_anything_runs(cases: object):
    ran: list[str] = []
    with refuses("cases"):
        over_cases(ran.append, cases, n_jobs=1, progress=False)
    assert ran == []


class DaskDistributedBackend(ParallelBackendBase):
    """Gives every call up and, like joblib's backend of this name, does not call back then."""

    supports_retrieve_callback = True

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Return a number of workers."""
        return 2

    def submit(self, func: Callable, callback: Callable | None = None) -> Future:
        """Return a future that fails a moment later, in another thread."""
        future: Future = Future()
        threading.Timer(0.05, future.set_exception, [ArithmeticError("given up")]).start()
        return future

    def retrieve_result_callback(self, out: object) -> object:
        """Raise what is an error."""
        if isinstance(out, BaseException):
            raise out
        return out

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Do nothing: no call is left."""


def test_a_call_that_the_cluster_gives_up_ends_the_sweep():
    # tests/lab/test_cluster.py shows the same with a real cluster
    backend, outcome = DaskDistributedBackend(), Future()

    def sweep() -> None:
        try:
            with joblib.parallel_config(backend=backend):
                outcome.set_result(over_seeds(abs, range(3), progress=False))
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=sweep, daemon=True).start()
    with pytest.raises(ArithmeticError, match="given up"):
        outcome.result(timeout=10)
    assert backend.submit == DaskDistributedBackend.submit.__get__(backend)  # as it was before
