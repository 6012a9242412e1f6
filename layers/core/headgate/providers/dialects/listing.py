"""Reading one entry of a provider's model list: what is absurd becomes unknown, never wrong.

Only an entry without a usable id is refused. Every other field is read by a function below, which gives None
(or nothing) for a value that can't be meant: a list of ten thousand models must not fail over one of them.
"""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from headgate.domain.catalog import Modality, Pricing

MAX_ID_CHARS = 512
MAX_TEXT_CHARS = 4_000
MAX_TOKENS = 1_000_000_000
MAX_USD_PER_MTOK = Decimal(10_000)
"""Ten times the dearest model ever sold: above it someone mistook the unit, and no price is better."""
_MAX_USD_PER_TOKEN = MAX_USD_PER_MTOK.scaleb(-6)
MAX_USD_PER_UNIT = Decimal(10_000)
MIN_USD = Decimal("1e-12")
"""Nothing costs less for anything; below it is noise whose plain notation would fill a page."""
_MAX_PRICE_CHARS = 40

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
_LAST_SECOND = time(23, 59, 59, tzinfo=UTC)

_INPUT_ORDER = {name: rank for rank, name in enumerate(("text", "image", "file", "audio", "video"))}


def read_id(entry: Mapping[str, Any]) -> str:
    """The provider's own id. Raises ValueError saying what is wrong with it."""
    native_id = entry.get("id")
    if not isinstance(native_id, str):
        raise ValueError("id is not a text")
    if not native_id or native_id != native_id.strip() or not native_id.isprintable():
        raise ValueError("id is empty, padded or unprintable")
    if len(native_id) > MAX_ID_CHARS:
        raise ValueError("id is too long")
    return native_id


def read_text(value: Any) -> str:
    """A text without surrounding space, cut to a bearable length; empty where there is none."""
    return value.strip()[:MAX_TEXT_CHARS] if isinstance(value, str) else ""


def read_object(value: Any) -> Mapping[str, Any]:
    """A JSON object; empty where there is none."""
    return value if isinstance(value, dict) else {}


def _is_finite(value: float | Decimal) -> bool:
    return value.is_finite() if isinstance(value, Decimal) else isinstance(value, int) or math.isfinite(value)


def read_tokens(value: Any) -> int | None:
    """A count of tokens above zero; zero, in these lists, means that the provider doesn't say."""
    if isinstance(value, str):
        value = int(value) if value.isdecimal() and len(value) < 12 else None
    elif isinstance(value, float | Decimal):
        # Bounded first: a Decimal may stand for more digits than there is room for.
        fit = _is_finite(value) and 0 < value <= MAX_TOKENS
        value = int(value) if fit and value == int(value) else None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 < value <= MAX_TOKENS else None


def read_words(value: Any) -> tuple[str, ...]:
    """Distinct words of a JSON list, sorted, so that a list told in another order is the same list."""
    if not isinstance(value, list):
        return ()
    return tuple(sorted({word for word in value if isinstance(word, str) and word}))


def read_modalities(value: Any, default: tuple[str, ...] = ("text",)) -> tuple[str, ...]:
    """Modalities in one fixed order (text first), whatever order they are told in; unknown ones are kept."""
    words = read_words(value)
    return tuple(sorted(words, key=lambda word: (_INPUT_ORDER.get(word, 9), word))) if words else default


def read_moment(value: Any) -> datetime | None:
    """Unix seconds or milliseconds, or ISO 8601; None for zero and for what lies outside 2000–2100."""
    if isinstance(value, str):
        return _parse_iso(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not _is_finite(value):
        return None
    seconds = value / 1000 if value > 100_000_000_000 else value
    return datetime.fromtimestamp(float(seconds), UTC) if _EARLIEST <= seconds <= _LATEST else None


def read_last_day(value: Any) -> datetime | None:
    """The last second (UTC) of a day `YYYY-MM-DD` on which the model is still there."""
    if isinstance(value, str) and len(value) == 10:
        try:
            return datetime.combine(date.fromisoformat(value), _LAST_SECOND)
        except ValueError:
            return None
    return read_moment(value)


def _parse_iso(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    try:
        return moment.astimezone(UTC) if _EARLIEST <= moment.timestamp() <= _LATEST else None
    except OverflowError:
        return None


def read_usd(value: Any) -> Decimal | None:
    """An amount of dollars from a decimal text or a JSON number, exactly as written.

    None where there is none, and for what is no price: negative (OpenRouter's `-1` is "it depends"), NaN.
    """
    if isinstance(value, str):
        text = value
    elif isinstance(value, int) and not isinstance(value, bool):
        text = str(value) if abs(value) < 10**12 else ""
    elif isinstance(value, Decimal | float):
        text = str(value)
    else:
        return None
    if len(text) > _MAX_PRICE_CHARS:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


def read_mtok(value: Any) -> Decimal | None:
    """USD per million tokens, told as such; None for an absurd one."""
    amount = read_usd(value)
    return amount if not amount or MIN_USD <= amount <= MAX_USD_PER_MTOK else None


def per_mtok(value: Any) -> Decimal | None:
    """USD per million tokens from USD per token; None for an absurd one."""
    amount = read_usd(value)
    if not amount:
        return amount
    if not MIN_USD <= amount <= _MAX_USD_PER_TOKEN:
        return None
    return amount.scaleb(6) + 0  # without a positive exponent: `10`, not `1E+1`


def read_units(prices: Mapping[str, Any], names: Iterable[str]) -> dict[str, Decimal]:
    """Prices per named unit, those above zero: older lists say `0` for whatever a model does not charge."""
    units = {}
    for name in names:
        amount = read_usd(prices[name]) if name in prices else None
        if amount and MIN_USD <= amount <= MAX_USD_PER_UNIT:
            units[name] = amount
    return units


def charged(price: Decimal | None, base: Decimal | None) -> Decimal | None:
    """A price for cached or reasoning tokens. Zero beside a base price that isn't means "not told apart"."""
    return None if price == 0 and base else price


def is_premium(pricing: Pricing | None) -> bool:
    """Whether something it charges for is known to cost more than nothing."""
    return pricing is not None and pricing.above_zero


_FAMILIES = tuple(
    (re.compile(pattern), modality)
    for pattern, modality in (
        (r"rerank", Modality.RERANK),
        (r"embed|(^|[/-])(bge|gte|e5|all-minilm)-", Modality.EMBEDDING),
        (r"whisper|transcri|parakeet", Modality.STT),
        (r"(^|[/_-])(tts|kokoro|orpheus)([_.-]|$)", Modality.TTS),
        (r"(^|/)(sora|veo|kling|seedance|wan2|wan-2)|hunyuan-?video|ltx-?video", Modality.VIDEO),
        (r"lyria|musicgen|ace-?step|stable-audio", Modality.MUSIC),
        (r"dall-e|-image(-|$)|imagen-|stable-diffusion|sdxl|seedream|(^|/)flux", Modality.IMAGE),
    )
)  # fmt: skip


def modality_of_name(name: str) -> Modality:
    """The main output by the family that a model's name belongs to; text where it tells nothing.

    Only for lists that don't say it themselves.
    """
    lowered = name.lower()
    for pattern, modality in _FAMILIES:
        if pattern.search(lowered):
            return modality
    return Modality.TEXT


OUTPUTS = {
    Modality.TEXT: ("text",),
    Modality.IMAGE: ("image",),
    Modality.TTS: ("audio",),
    Modality.STT: ("text",),
    Modality.MUSIC: ("audio",),
    Modality.VIDEO: ("video",),
    Modality.EMBEDDING: ("embeddings",),
    Modality.RERANK: ("rerank",),
}
"""What comes out of a model of which only the modality is known, in OpenRouter's words."""

INPUTS = {Modality.STT: ("audio",)}
"""What goes into it, where that is not text."""
