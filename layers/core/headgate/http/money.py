"""Money in requests: a decimal string, a number, or the contract's money object."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator

from headgate.domain.money import NANO_PER_USD

_DECIMAL = re.compile(r"-?\d{1,12}(\.\d{1,30})?")
_HOW = 'must be dollars: "1.50", 1.5 or {"amount": "1.50", "currency": "USD"}.'


def nanousd_of(value: Any) -> int:
    """Nano-dollars, exactly. Raises ValueError for what is no amount of dollars, or finer than one."""
    if isinstance(value, dict):
        if not value.keys() <= {"amount", "currency"} or value.get("currency", "USD") != "USD":
            raise ValueError(_HOW)
        value = value.get("amount")
        if isinstance(value, dict):
            raise ValueError(_HOW)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(_HOW)
    text = value if isinstance(value, str) else format(Decimal(str(value)), "f")
    if not text.isascii() or not _DECIMAL.fullmatch(text):
        raise ValueError(_HOW)
    nano = Decimal(text) * NANO_PER_USD
    if nano != int(nano):
        raise ValueError("must have at most nine decimals.")
    return int(nano)


def _not_negative(value: Any) -> int | None:
    if value is None:
        return None
    amount = nanousd_of(value)
    if amount < 0:
        raise ValueError("must not be negative.")
    return amount


Amount = Annotated[int, BeforeValidator(nanousd_of)]
Allowance = Annotated[int | None, BeforeValidator(_not_negative)]
