"""Hypothesis strategies for our dataclasses, field by field, and a new field is tried unasked."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

TIMES = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001 - the zone is drawn beside it
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))]),
)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=6) | st.decimals(
    min_value=Decimal(0), max_value=Decimal(1000), allow_nan=False
)
TEXT = st.text(max_size=12)
INTEGERS = st.integers(-(2**53), 2**53)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)

_SCALARS: Mapping[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: INTEGERS,
    float: FLOATS,
    bool: st.booleans(),
    datetime: TIMES,
    Decimal: DECIMALS,
    Any: JSON,
}


def values_of(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Instances with every field drawn by its annotation."""
    hints = get_type_hints(cls)
    return st.builds(cls, **{field.name: _of(hints[field.name]) for field in fields(cls)})


def _of(hint: Any) -> st.SearchStrategy[Any]:
    hint = getattr(hint, "__value__", hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return st.one_of(*(st.none() if arg is types.NoneType else _of(arg) for arg in args))
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        return st.lists(_of(args[0]), max_size=3).map(tuple)
    if origin is frozenset:
        return st.frozensets(_of(args[0]), max_size=3)
    if origin is Mapping:
        return st.dictionaries(TEXT, _of(args[1]), max_size=3)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and is_dataclass(hint):
        return values_of(hint)
    return st.sampled_from(list(hint))
