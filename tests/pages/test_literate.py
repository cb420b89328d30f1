import importlib
import inspect
import textwrap

import numpy as np
import pytest
from IPython.display import Markdown

from recsys.lab import bands
from recsys.pages import literate
from recsys.policies import simple
from strategies import refuses


@pytest.fixture
def glued(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Return what is glued, by key, instead of sending it to a notebook."""
    kept: dict[str, float] = {}

    def keep(name: str, value: float, display: bool = True) -> None:
        assert display is False  # glued numbers appear in the prose, not below the cell
        assert type(value) is float  # NumPy scalars are saved with their type's name
        kept[name] = value

    monkeypatch.setattr(literate, "glue", keep)
    return kept


@pytest.mark.parametrize(
    "thing", [bands.band_curve, simple.MostPopular, simple.RandomPolicy.scores]
)
def test_the_source_shown_is_the_text_of_the_file(thing: object):
    shown = literate.show_source(thing)
    assert isinstance(shown, Markdown)
    head, *body, foot = shown.data.split("\n")
    assert (head, foot) == ("```python", "```")
    text = importlib.import_module(thing.__module__).__loader__.get_source(thing.__module__)
    assert textwrap.indent("\n".join(body), "    " * thing.__qualname__.count(".")) in text
    assert f"{thing.__name__}(" in body[0] or any(f"def {thing.__name__}" in b for b in body)
    assert body[-1].strip()


def test_the_source_shown_is_whole():
    body = literate.show_source(bands.band_curve).data
    assert body.count('"""') == 2
    assert "return samples.mean" in body
    assert "def paired_band" not in body


def test_what_has_no_source_cannot_be_shown():
    for thing in (len, 3, "text"):
        with pytest.raises((TypeError, ValueError)):
            literate.show_source(thing)
    assert inspect.isbuiltin(len)


def test_numbers_are_glued_as_floats_under_keys_with_hyphens(glued: dict[str, float]):
    literate.glue_numbers(ctr_lift=np.float32(0.5), n_seeds=20, plain=np.array(1.5))
    assert glued == {"ctr-lift": 0.5, "n-seeds": 20.0, "plain": 1.5}


def test_an_estimate_is_glued_with_both_ends_of_its_band(glued: dict[str, float]):
    literate.glue_estimates(100.0, ctr_gap=bands.Estimate(0.02, 0.01, 0.04, 20))
    assert glued.keys() == {"ctr-gap", "ctr-gap-low", "ctr-gap-high"}
    assert glued["ctr-gap"] == pytest.approx(2.0)
    assert glued["ctr-gap-low"] == pytest.approx(1.0)
    assert glued["ctr-gap-high"] == pytest.approx(4.0)


def test_the_ends_of_a_band_stay_in_order_when_the_sign_is_turned(glued: dict[str, float]):
    literate.glue_estimates(-1.0, loss=bands.Estimate(0.2, 0.1, 0.5, 20))
    assert glued == {"loss": -0.2, "loss-low": -0.5, "loss-high": -0.1}


def test_a_scale_of_one_is_the_default_and_several_estimates_keep_apart(glued: dict[str, float]):
    literate.glue_estimates(a=bands.Estimate(1.0, 0.0, 2.0, 3), b=bands.Estimate(5.0, 4.0, 6.0, 3))
    assert glued == {"a": 1, "a-low": 0, "a-high": 2, "b": 5, "b-low": 4, "b-high": 6}


@pytest.mark.parametrize("value", [np.nan, np.inf, "many", None, [1.0, 2.0]])
def test_a_number_that_is_none_is_not_glued(glued: dict[str, float], value: object):
    with refuses("lift"):
        literate.glue_numbers(fine=1.0, lift=value)
    assert glued == {}
