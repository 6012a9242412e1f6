"""The model list's query string, checked."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qsl

from headgate.domain.catalog import Modality, ModelStatus
from headgate.domain.errors import FieldError, InvalidRequest
from headgate.http.body import snake
from headgate.services.list_models import MAX_LIMIT, SORTS, ModelQuery

_KNOWN = frozenset(
    (
        *("provider", "modality", "capability", "q", "status", "premium", "vision", "min_context"),
        *("max_input_price", "max_output_price", "available", "sort", "limit", "cursor", "force"),
    )
)


class _Fields:
    """Reads one parameter at a time, collecting what is wrong."""

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values
        self.errors: list[FieldError] = []

    def many(self, name: str, known: frozenset[str] | None = None) -> frozenset[str]:
        given = frozenset(
            part.strip() for text in self._values.get(name, ()) for part in text.split(",") if part.strip()
        )
        for wrong in sorted(given - known) if known is not None else ():
            self.errors.append(FieldError(name, f"{wrong[:50]} is none of {', '.join(sorted(known or ()))}."))
        return given

    def text(self, name: str) -> str | None:
        values = self._values.get(name, ())
        if len(values) > 1:
            self.errors.append(FieldError(name, "may be given once."))
        return values[0] if values and values[0] else None

    def flag(self, name: str) -> bool | None:
        text = self.text(name)
        if text is None:
            return None
        if text.lower() in ("true", "1"):
            return True
        if text.lower() not in ("false", "0"):
            self.errors.append(FieldError(name, "must be true or false."))
        return False

    def whole(self, name: str, *, least: int, most: int) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        if not text.isascii() or not text.isdigit() or len(text) > 12 or not least <= int(text) <= most:
            self.errors.append(FieldError(name, f"must be a whole number from {least} to {most}."))
            return None
        return int(text)

    def price(self, name: str) -> Decimal | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            amount = Decimal(text)
        except InvalidOperation:
            amount = Decimal(-1)
        if not amount.is_finite() or amount < 0:
            self.errors.append(FieldError(name, "must be a price in USD per million tokens, zero or more."))
            return None
        return amount


def read_query(query_string: bytes, *, camel: bool) -> tuple[ModelQuery, bool]:
    """The query and whether a refresh is forced. Raises InvalidRequest naming each wrong parameter."""
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(query_string.decode("latin-1"), keep_blank_values=True):
        values.setdefault(snake(name) if camel else name, []).append(value)
    fields = _Fields(values)
    fields.errors.extend(
        FieldError(name[:50], "is no parameter of this list.") for name in values if name not in _KNOWN
    )
    query = ModelQuery(
        providers=fields.many("provider"),
        modalities=fields.many("modality", frozenset(Modality)),
        capabilities=fields.many("capability"),
        statuses=fields.many("status", frozenset(ModelStatus)),
        q=fields.text("q"),
        premium=fields.flag("premium"),
        vision=fields.flag("vision"),
        min_context=fields.whole("min_context", least=0, most=10**12),
        max_input_price=fields.price("max_input_price"),
        max_output_price=fields.price("max_output_price"),
        available=bool(fields.flag("available")),
        sort=fields.text("sort"),
        limit=fields.whole("limit", least=1, most=MAX_LIMIT),
        cursor=fields.text("cursor"),
    )
    if query.sort is not None and query.sort not in SORTS:
        fields.errors.append(FieldError("sort", f"must be one of {', '.join(SORTS)}."))
    force = bool(fields.flag("force"))
    if fields.errors:
        raise InvalidRequest(
            "; ".join(f"{error.field}: {error.message}" for error in fields.errors[:5]), errors=fields.errors
        )
    return query, force
