"""Figures and how they are shown. Pure.

A target is never compared with a figure of another run: rounds of all targets are interleaved, differences
and ratios are taken within a round, and their median is what is told.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median

type Row = Mapping[str, object]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value which `share` of all do not exceed; NaN where there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def paired(values: Sequence[float], base: Sequence[float], compare: Callable[[float, float], float]) -> float:
    """The median of what each round's value is to the base's of the same round. Raises ValueError when the
    rounds do not match."""
    return median(compare(value, other) for value, other in zip(values, base, strict=True))


def difference(value: float, base: float) -> float:
    return value - base


def ratio(value: float, base: float) -> float:
    """NaN to a base of nothing."""
    return value / base if base else math.nan


def json_line(row: Row) -> str:
    """One line of JSON; what is not a number is null."""
    return json.dumps({key: _finite(value) for key, value in row.items()})


def table(title: str, rows: Iterable[Row], columns: Mapping[str, str]) -> str:
    """Rows under a title. columns: what to show, and its heading; a row may lack one."""
    cells = [[_text(row.get(key)) for key in columns] for row in rows]
    headings = list(columns.values())
    widths = [max(len(row[i]) for row in [headings, *cells]) for i in range(len(headings))]
    lines = [title, _line(headings, widths), "  ".join("-" * width for width in widths)]
    return "\n".join([*lines, *(_line(row, widths) for row in cells)]) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()


def _text(value: object) -> str:
    """Three figures are all that such a measurement holds."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, float):
        places = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
        return f"{value:,.{places}f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
