"""What the pages need to speak of the code: live source, and numbers for the prose."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable

from IPython.display import Markdown
from myst_nb import glue

from recsys import checks
from recsys.lab import Estimate


def show_source(thing: type | Callable) -> Markdown:
    """Return the live source of a function or class, for display; never a copy."""
    return Markdown(f"```python\n{textwrap.dedent(inspect.getsource(thing)).rstrip()}\n```")


def glue_numbers(**values: float) -> None:
    """Glue numbers for the prose: ``ctr_lift=0.1`` becomes the key ``ctr-lift``."""
    checked = {name: checks.finite(name, value, ()) for name, value in values.items()}
    for name, value in checked.items():
        glue(name.replace("_", "-"), float(value), display=False)


def glue_estimates(scale: float = 1.0, **estimates: Estimate) -> None:
    """Glue estimates times ``scale``, three keys each: ``name``, ``name-low``, ``name-high``."""
    for name, estimate in estimates.items():
        ends = sorted((scale * estimate.low, scale * estimate.high))
        glue_numbers(
            **{name: scale * estimate.mean, f"{name}_low": ends[0], f"{name}_high": ends[1]}
        )
