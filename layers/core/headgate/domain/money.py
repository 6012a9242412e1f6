"""Money: integers of nano-dollars inside, decimal strings outside, rounded once per generation, half up."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

NANO_PER_USD = 1_000_000_000
_ONE = Decimal(1)


def nanousd(usd: Decimal) -> int:
    """Dollars as whole nano-dollars, rounded half up."""
    return int((usd * NANO_PER_USD).quantize(_ONE, rounding=ROUND_HALF_UP))


def usd(amount_nanousd: int) -> Decimal:
    """Nano-dollars as exact dollars."""
    return Decimal(amount_nanousd) / NANO_PER_USD


def decimal_text(value: Decimal) -> str:
    """Plain decimal notation without exponent or trailing zeros: `0.15`, `0`, `12`."""
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def money_json(amount_nanousd: int) -> dict[str, Any]:
    """The contract's money object: `{"amount": "0.00123", "currency": "USD"}`."""
    return {"amount": decimal_text(usd(amount_nanousd)), "currency": "USD"}
