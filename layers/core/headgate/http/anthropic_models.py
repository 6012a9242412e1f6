"""Models as Anthropic's clients list them, from the newest on: https://platform.claude.com/docs/en/api/models
(2026-11-20). Their pages begin after one model's id, or end before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import QueryParams

from headgate.domain.catalog import ModelInfo, ModelStatus, rfc3339
from headgate.domain.errors import FieldError, InvalidRequest

VERSION_HEADER = "anthropic-version"
"""Anthropic's clients always send it, and no other does."""
_USUAL_LIMIT, _MOST = 20, 1000
_LIFECYCLES = {ModelStatus.DEPRECATED: "deprecated", ModelStatus.UNAVAILABLE: "retired"}
_ALL = ("active", "deprecated", "retired")
_USUAL = frozenset({"active", "deprecated"})
_UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsPage:
    """Which part of the list is wanted. At most one of the ids is set."""

    limit: int = _USUAL_LIMIT
    after_id: str | None = None
    before_id: str | None = None
    lifecycles: frozenset[str] = _USUAL

    def text(self) -> str:
        """The same for equal pages, for a validator."""
        return repr((self.limit, self.after_id, self.before_id, sorted(self.lifecycles)))


def read_page(query: QueryParams) -> ModelsPage:
    """Raises InvalidRequest naming each wrong parameter; those not known here are left alone."""
    errors = []
    limit = query.get("limit", str(_USUAL_LIMIT))
    if not limit.isascii() or not limit.isdigit() or len(limit) > 6 or not 1 <= int(limit) <= _MOST:
        errors.append(FieldError("limit", f"must be a whole number from 1 to {_MOST}."))
    after, before = query.get("after_id") or None, query.get("before_id") or None
    if after is not None and before is not None:
        errors.append(FieldError("before_id", "may not be given together with after_id."))
    given = [*query.getlist("lifecycle"), *query.getlist("lifecycle[]")]
    stages = frozenset(part.strip() for text in given for part in text.split(",") if part.strip())
    if stages - set(_ALL):
        errors.append(FieldError("lifecycle", f"must be of {', '.join(_ALL)}."))
    if errors:
        raise InvalidRequest("; ".join(f"{e.field}: {e.message}" for e in errors), errors=errors)
    return ModelsPage(limit=int(limit), after_id=after, before_id=before, lifecycles=stages or _USUAL)


def page_json(models: Sequence[ModelInfo], page: ModelsPage, now: datetime) -> dict[str, Any]:
    """One page of the list. Raises InvalidRequest for an id that is not in it."""
    listed = [model for model in models if _lifecycle(model, now) in page.lifecycles]
    listed.sort(key=lambda model: (-(model.created_at or _UNKNOWN).timestamp(), model.id))
    if page.before_id is not None:
        end = _place_of(listed, page.before_id, "before_id")
        start = max(0, end - page.limit)
        more = start > 0
    else:
        start = 0 if page.after_id is None else _place_of(listed, page.after_id, "after_id") + 1
        end = start + page.limit
        more = end < len(listed)
    shown = listed[start:end]
    return {
        "data": [anthropic_model_json(model, now) for model in shown],
        "has_more": more,
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
    }


def anthropic_model_json(model: ModelInfo, now: datetime) -> dict[str, Any]:
    """`created_at` is 1970 where it is not known, as there: clients need a time."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.name,
        "created_at": rfc3339(model.created_at or _UNKNOWN),
        "lifecycle": _lifecycle(model, now),
        "deprecated_at": None,
        "retires_at": rfc3339(model.expires_at),
        "max_input_tokens": model.context_window,
        "max_tokens": model.max_output_tokens,
        "capabilities": None,
        "line": None,
    }


def _lifecycle(model: ModelInfo, now: datetime) -> str:
    return _LIFECYCLES.get(model.status_at(now), "active")


def _place_of(models: Sequence[ModelInfo], model_id: str, field: str) -> int:
    for place, model in enumerate(models):
        if model.id == model_id:
            return place
    raise InvalidRequest.of_field(field, f"{model_id[:200]} is no model of this list.")
