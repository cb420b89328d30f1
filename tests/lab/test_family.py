import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recsys.lab import band, holm
from recsys.lab.family import adjusted
from strategies import modest, refuses


def seeds(*means: float, n: int = 20, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {f"arm {i}": rng.normal(mean, 1, n) for i, mean in enumerate(means)}


def test_holm_by_hand():
    # 0.01·4 = 0.04; 0.02·3 = 0.06; 0.03·2 = 0.06; 0.04·1 = 0.04, lifted to the one before
    assert adjusted([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert adjusted([0.9, 0.8]) == [1.0, 1.0]
    assert adjusted([0.2]) == [0.2]


@modest
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.sampled_from([0.5, 0.9, 0.95]))
def test_adjusted_p_values_give_the_verdicts_of_the_step_down_procedure(p: list, level: float):
    order, differs = np.argsort(p, kind="stable"), np.zeros(len(p), bool)
    for step, i in enumerate(order):  # Holm 1979: stop at the first that does not pass
        if p[i] * (len(p) - step) > 1 - level:
            break
        differs[i] = True
    assert (np.array(adjusted(p)) <= 1 - level).tolist() == differs.tolist()


def test_a_family_of_one_is_the_paired_test():
    samples = seeds(0.4)
    [verdict] = holm(samples).values()
    expected = stats.ttest_1samp(samples["arm 0"], 0)
    assert verdict.p == pytest.approx(expected.pvalue, rel=1e-12)
    assert verdict.difference == band(samples["arm 0"])
    assert verdict.differs == verdict.difference.excludes_zero


def test_bands_are_those_of_students_t_at_the_level_shared_out():
    samples = seeds(0.0, 0.5, 1.0)
    for name, verdict in holm(samples, level=0.9).items():
        values = samples[name]
        ends = stats.t.interval(1 - 0.1 / 3, 19, values.mean(), stats.sem(values))
        assert (verdict.difference.low, verdict.difference.high) == pytest.approx(ends)


def test_p_values_are_those_of_scipy_adjusted():
    samples, other = seeds(0.0, 0.5, 1.0), seeds(0.2, 0.2, 0.2, seed=1)
    raw = {name: stats.ttest_rel(samples[name], other[name]).pvalue for name in samples}
    found = {name: verdict.p for name, verdict in holm(samples, other).items()}
    assert found == pytest.approx(dict(zip(raw, adjusted(list(raw.values())), strict=True)))
    shared = holm(samples, other["arm 0"])
    assert shared["arm 0"].difference == holm(samples, other)["arm 0"].difference


@modest
@given(st.lists(st.floats(-2, 2), min_size=1, max_size=5), st.integers(0, 10**6))
def test_a_verdict_is_never_weaker_than_that_of_its_band(means: list, seed: int):
    for verdict in holm(seeds(*means, seed=seed)).values():
        assert verdict.differs or not verdict.difference.excludes_zero


def test_a_family_without_differences_seldom_has_a_false_verdict():
    families = 2_000
    false, missed = 0, 0
    for seed in range(families):
        verdicts = holm(seeds(0, 0, 0, 0, 0, n=8, seed=seed)).values()
        false += any(verdict.differs for verdict in verdicts)
        missed += any(verdict.difference.excludes_zero for verdict in verdicts)
    assert missed <= false <= stats.binom(families, 0.05).ppf(0.9999)
    assert false >= stats.binom(families, 1 - 0.99**5).ppf(0.0001)  # independent arms: near 0.05


def test_differences_without_spread():
    found = holm({"none": np.zeros(5), "all": np.ones(5)})
    assert (found["none"].p, found["all"].p) == (1.0, 0.0)
    assert found["all"].differs and not found["none"].differs


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("samples", {"samples": {}}),
        ("samples", {"samples": [1.0, 2.0]}),
        (r"samples\['a'\]", {"samples": {"a": [1.0]}}),
        (r"samples\['a'\]", {"samples": {"a": [[1.0, 2.0]]}}),
        (r"samples\['a'\]", {"samples": {"a": [1.0, np.nan]}}),
        (r"samples\['a'\]", {"samples": {"a": ["x", "y"]}}),
        ("against", {"against": {"b": [1.0, 2.0]}}),
        ("against", {"against": [1.0, 2.0, 3.0]}),
        ("level", {"level": 1.0}),
        ("level", {"level": "x"}),
    ],
)
def test_what_is_no_family_is_refused(name: str, call: dict[str, object]):
    with refuses(name):
        holm(**({"samples": {"a": [1.0, 2.0]}} | call))
    with refuses("p_values"):
        adjusted([0.5, 1.5])
