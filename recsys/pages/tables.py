"""Tables of results: numbers aligned by their decimals, bands beside them that never wrap."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from html import escape
from itertools import zip_longest

import numpy as np

from recsys import checks
from recsys.lab import Estimate

Cell = str | float | Estimate
NO_BREAK = "\N{NO-BREAK SPACE}"  # a band stays on one line, also where no style sheet says so


class Table:
    """A table as HTML for the page and the notebook, and as aligned text for a terminal.

    Attributes
    ----------
    columns : headers, the first one that of the labels of the rows
    rows : for each row and column the printed parts, one text or, for an estimate, mean and band
    caption : what the table shows, or an empty text
    """

    def __init__(
        self, columns: list[str], rows: list[list[tuple[str, ...]]], caption: str = ""
    ) -> None:
        self.columns, self.rows, self.caption = columns, rows, caption
        self._widths = [max(len(row[j]) for row in rows) for j in range(len(columns))]

    def _repr_html_(self) -> str:
        head = "".join(map(_header, self.columns, self._widths))
        lines = ['<table class="table results">']
        if self.caption:
            lines.append(f"<caption>{escape(self.caption)}</caption>")
        lines += ["<thead>", f"<tr>{head}</tr>", "</thead>", "<tbody>"]
        for label, *cells in self.rows:
            html = [f'<th scope="row">{escape(label[0])}</th>']
            for cell, width in zip(cells, self._widths[1:], strict=True):
                kinds = ("", ' class="band"')[:width]
                parts = zip_longest(cell, kinds, fillvalue="")
                html += [f"<td{kind}>{escape(part)}</td>" for part, kind in parts]
            lines.append(f"<tr>{''.join(html)}</tr>")
        return "\n".join([*lines, "</tbody>", "</table>"])

    def __repr__(self) -> str:
        labels, *columns = zip(*self.rows, strict=True)
        printed = [[label for (label,) in labels], *map(_joined, columns)]
        lines = [self.caption, ""] if self.caption else []
        lengths = [max(map(len, [self.columns[j], *printed[j]])) for j in range(len(printed))]
        rules = ["-" * length for length in lengths]
        for row in [self.columns, rules, *zip(*printed, strict=True)]:
            label, *cells = [text.replace(NO_BREAK, " ") for text in row]
            right = [cell.rjust(n) for cell, n in zip(cells, lengths[1:], strict=True)]
            lines.append("  ".join([label.ljust(lengths[0]), *right]).rstrip())
        return "\n".join(lines)


def _header(name: str, width: int) -> str:
    if not name:
        return "<td></td>"  # a header without words would head nothing
    span = f' colspan="{width}"' if width > 1 else ""
    return f'<th scope="col"{span}>{escape(name)}</th>'


def _joined(column: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the cells of a column as texts of which each part is aligned at its right."""
    width = max(map(len, column))
    padded = [cell + ("",) * (width - len(cell)) for cell in column]
    lengths = [max(map(len, parts)) for parts in zip(*padded, strict=True)]
    return [
        " ".join(part.rjust(n) for part, n in zip(cell, lengths, strict=True)) for cell in padded
    ]


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    decimals: int | Sequence[int] = 1,
    scale: float | Sequence[float] = 1.0,
    caption: str = "",
) -> Table:
    """Return a table of results, for the last line of a cell.

    Parameters
    ----------
    columns : headers, one for each column; the first column labels the rows
    rows : each with one cell for each column: a text, a number, or an ``Estimate``, of which mean
        and band are printed
    decimals : places after the point, for all columns or one for each; a column of nothing but
        integers that is not scaled has none
    scale : numbers and estimates are multiplied by it (100 for per cent), one for all columns but
        the first, or one for each
    caption : what the table shows

    Examples
    --------
    >>> from recsys.lab import Estimate
    >>> lead = [["LinUCB", Estimate(-0.02, -0.031, -0.009, 20)], ["network", Estimate(0, 0, 0, 20)]]
    >>> table(["policy", "lead (points)"], lead, scale=100)
    policy         lead (points)
    -------  -------------------
    LinUCB   −2.0 (−3.1 to −0.9)
    network   0.0   (0.0 to 0.0)
    """
    names, cells = _texts("columns", columns), _rows(rows, len(columns))
    places = [checks.integer("decimals", n, 0, 15) for n in _each("decimals", decimals, len(names))]
    first = [1.0] if isinstance(scale, numbers.Real) else []
    scales = _each("scale", scale, len(names) - len(first))
    factors = first + [checks.number("scale", factor, -np.inf) for factor in scales]
    printed = []
    for j, column in enumerate(zip(*cells, strict=True)):
        numeric = [cell for cell in column if not isinstance(cell, str)]
        counts = factors[j] == 1 and all(isinstance(cell, numbers.Integral) for cell in numeric)
        printed.append([_parts(cell, 0 if counts else places[j], factors[j]) for cell in column])
    if any(len(label) > 1 for label in printed[0]):
        raise ValueError("rows: got an Estimate in the first column, expected labels")
    return Table(
        names, [list(row) for row in zip(*printed, strict=True)], _text("caption", caption)
    )


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name}: got {value!r}, expected a text")
    return value


def _texts(name: str, values: object) -> list[str]:
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) < 2:
        raise ValueError(f"{name}: got {values!r}, expected a list of at least two headers")
    return [_text(f"{name}[{j}]", value) for j, value in enumerate(values)]


def _each(name: str, value: object, n: int) -> list[object]:
    """Return one value for each of n columns."""
    if isinstance(value, numbers.Real):
        return [value] * n
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray) or len(value) != n:
        raise ValueError(f"{name}: got {value!r}, expected a number or {n} numbers")
    return list(value)


def _rows(rows: object, n: int) -> list[list[Cell]]:
    """Return the rows, each of n cells that can be printed."""
    if isinstance(rows, str) or not isinstance(rows, Sequence | np.ndarray) or not len(rows):
        raise ValueError(f"rows: got {rows!r}, expected a list of at least one row")
    checked = []
    for i, row in enumerate(rows):
        name = f"rows[{i}]"
        if isinstance(row, str) or not isinstance(row, Sequence | np.ndarray) or len(row) != n:
            raise ValueError(f"{name}: got {row!r}, expected {n} cells, one for each column")
        checked.append([_cell(f"{name}[{j}]", cell) for j, cell in enumerate(row)])
    return checked


def _cell(name: str, value: object) -> Cell:
    if isinstance(value, str):
        return value
    if isinstance(value, Estimate):
        for end in ("low", "mean", "high"):
            checks.number(f"{name}.{end}", getattr(value, end), -np.inf)
        return value
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise ValueError(f"{name}: got {value!r}, expected a text, a number or an Estimate")
    number = checks.number(name, value, -np.inf)
    return int(value) if isinstance(value, numbers.Integral) else number


def _parts(cell: Cell, places: int, factor: float) -> tuple[str, ...]:
    """Return what is printed for a cell: one text, or the mean of an estimate and its band."""
    if isinstance(cell, str):
        return (cell,)
    if not isinstance(cell, Estimate):
        return (_number(factor * cell, places),)
    low, high = sorted((factor * cell.low, factor * cell.high))
    band = f"({_number(low, places)} to {_number(high, places)})".replace(" ", NO_BREAK)
    return _number(factor * cell.mean, places), band


def _number(value: float, places: int) -> str:
    """Return a number with a true minus sign, and no sign where zero is printed."""
    if not np.isfinite(value):
        raise ValueError("scale: got a product beyond every float, expected a smaller factor")
    digits = f"{abs(value):,.{places}f}"
    return digits if value >= 0 or not digits.strip("0.,") else f"\N{MINUS SIGN}{digits}"
