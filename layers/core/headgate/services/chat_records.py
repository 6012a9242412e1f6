"""What is asked of a chat completion, and the record that is kept of it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

import orjson

from headgate.domain.admission import Claim
from headgate.domain.callers import Caller
from headgate.domain.errors import AccessDenied, HeadgateError
from headgate.domain.generation import (
    COUNTING,
    MOST_TOKENS,
    Attempt,
    GenerationRecord,
    GenerationStatus,
    KeyOpening,
    Usage,
)
from headgate.domain.money import nanousd
from headgate.domain.secret import Secret
from headgate.providers.base import ChatCall, ChatOutcome, Operation
from headgate.providers.dialects.base import OPENAI_CHAT
from headgate.services.key_models import bound_names, names_of, resolved, told
from headgate.services.longest import longest_answer
from headgate.services.offers import plain_name
from headgate.services.route import Candidate, Wish

RECORD_DAYS = 30
GRACE = timedelta(minutes=2)
"""Beyond the time that a generation may take: its outcome is still being written, or clocks differ."""

_TYPES = {"embeddings": "embedding", "count_tokens": COUNTING}

_FILE = 1_500.0
_BARE = frozenset({"data", "file_data"})
"""Fields that hold a file's base64 without saying so."""

_FILES = _BARE | {"url", "image_url", "image", "audio", "video"}
_TEXTS = ("data:text/", "data:application/json", "data:application/xml")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAsk:
    """What a caller asks for. body: the request in its `dialect`. model: as the caller wrote it, None for the
    default. provider: the slug that must serve it, where one was named. wish: how it is to be routed.

    operation: `chat`, `embeddings` or `count_tokens`. headers: the caller's, for a provider of that dialect.
    connection_id: the connection that must serve it, if one was named. lent: keys lent for this request, by
    slug. claim: the idempotency key it came with. keep_output: whether the answer is kept with the record
    (`/v2/generations`), or only its figures.
    """

    body: Mapping[str, Any]
    model: str | None
    provider: str | None = None
    dialect: str = OPENAI_CHAT
    operation: Operation = "chat"
    wish: Wish = Wish()
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: bool = False
    include_usage: bool = False
    keep_output: bool = False
    project_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    deadline_s: float | None = None
    connection_id: str | None = None
    lent: Mapping[str, Secret] = field(default_factory=dict)
    claim: Claim | None = None
    request_id: str | None = None


def call_of(ask: ChatAsk, candidate: Candidate) -> ChatCall:
    """What is asked, as it is asked of one candidate."""
    return ChatCall(
        body=ask.body,
        model=candidate.native_id,
        stream=ask.stream,
        include_usage=ask.include_usage,
        dialect=ask.dialect,
        headers=ask.headers,
        info=candidate.info,
    )


def running_record(
    generation_id: str, caller: Caller, ask: ChatAsk, *, now: datetime, allowed_s: float, **reckoned: Any
) -> GenerationRecord:
    """Written before any provider is called. allowed_s: how long it may take; then others may end it.

    reckoned: the fields of what it may cost and what was set aside for it.
    """
    return GenerationRecord(
        id=generation_id,
        owner=caller.user_id,
        key_id=caller.key_id,
        type=_TYPES.get(ask.operation, "text"),
        status=GenerationStatus.RUNNING,
        created_at=now,
        started_at=now,
        requested_model=ask.model,
        project_id=ask.project_id or caller.project_id,
        metadata=ask.metadata,
        expires_at=now + timedelta(days=RECORD_DAYS),
        request_id=ask.request_id,
        due_at=now + timedelta(seconds=allowed_s) + GRACE,
        **reckoned,
    )


def finished_record(
    record: GenerationRecord,
    status: GenerationStatus,
    *,
    at: datetime,
    served: Candidate | None,
    asked: Candidate | None,
    outcome: ChatOutcome | None,
    charged_nanousd: int | None,
    attempts: Sequence[Attempt],
    opened: Sequence[KeyOpening],
    error: HeadgateError | None,
    keep_output: bool,
) -> GenerationRecord:
    """The same record with its outcome. asked: who was called last, whatever became of it."""
    usage = outcome.usage if outcome is not None else None
    reported = None if usage is None or usage.cost_usd is None else nanousd(usage.cost_usd)
    return replace(
        record,
        status=status,
        completed_at=at,
        model=served.id if served is not None else (attempts[-1].model if attempts else None),
        provider=served.provider if served is not None else (attempts[-1].provider if attempts else None),
        output=_output(outcome) if keep_output and outcome is not None else None,
        usage=usage,
        cost_charged_nanousd=charged_nanousd,
        cost_provider_nanousd=reported,
        attempts=tuple(attempts),
        opened=tuple(opened),
        error=None if error is None else error_json(error),
        connection_id=None if asked is None else asked.credential.connection_id,
        paid_by="platform" if asked is None else asked.credential.paid_by,
        raised=(),
        due_at=None,
    )


def within_key(caller: Caller, candidates: list[Candidate], model: str | None) -> list[Candidate]:
    """The candidates for `model` that the caller's key may use: those it names by any of their names.

    A key that is bound to one provider's model stays there, though others offer the same model.

    Raises AccessDenied (`forbidden`) when none is left, or what was named is not among them.
    """
    denied = denied_name(caller, candidates, model)
    if denied is not None:
        raise AccessDenied(f"This key may not use {denied[:200]}. {told(caller.allowed_models)}")
    fit = [each for each in candidates if may_use(caller, each)]
    if not fit:
        raise AccessDenied(f"This key may use no model that could serve this. {told(caller.allowed_models)}")
    return fit


def denied_name(caller: Caller, candidates: Iterable[Candidate], model: str | None) -> str | None:
    """The first of the names in `model` all of whose candidates the key leaves out; None where there is none.

    A fallback that it may use does not stand in for a model that was named and that it may not.
    """
    if caller.allowed_models is None or model is None:
        return None
    for name in (part.strip() for part in model.split(",")):
        names = {name, resolved(name), resolved(plain_name(name)), plain_name(name)}
        named = [each for each in candidates if names & _names_of(each)]
        if named and not any(may_use(caller, each) for each in named):
            return name
    return None


def may_use(caller: Caller, candidate: Candidate) -> bool:
    """Whether the key names this candidate, by any of its names, or is bound to nothing."""
    bound = bound_names(caller.allowed_models)
    return bound is None or not bound.isdisjoint(_names_of(candidate))


def _names_of(candidate: Candidate) -> set[str]:
    names = {candidate.id, candidate.native_id.rpartition("/")[2]}
    return names if candidate.info is None else names | names_of(candidate.info)


def with_usage(outcome: ChatOutcome, body: Mapping[str, Any], *, pieces: int = 0) -> ChatOutcome:
    """The outcome of an answer that was left early, with the usage estimated that had not come yet: some say
    at the start what went in, and what came out only at the end.

    pieces: events with content that were read, each of a token at least, reasoning and further choices
    included, which the outcome does not show. What the request allows is never exceeded.
    """
    told = outcome.usage
    if told is not None and outcome.finish_reason is not None:
        return outcome
    letters = len(outcome.text) + sum(len(str(call)) for call in outcome.tool_calls)
    produced = max(pieces, round(letters / 4), min(letters, 1))
    produced = min(produced, longest_answer(body, None, MOST_TOKENS))
    if not produced or (told is not None and (told.output_tokens or 0) >= produced):
        return outcome
    usage = told or Usage()
    entered = estimated_tokens(body) if usage.input_tokens is None else usage.input_tokens
    usage = replace(usage, input_tokens=entered, output_tokens=produced, total_tokens=None, estimated=True)
    return replace(outcome, usage=usage)


def with_counts(outcome: ChatOutcome, body: Mapping[str, Any]) -> ChatOutcome:
    """The outcome of a whole answer, its tokens estimated where the provider told neither counts nor cost:
    what has a price is never free because somebody forgot to count."""
    told = outcome.usage or Usage()
    if (told.input_tokens, told.output_tokens, told.cost_usd) != (None, None, None):
        return outcome
    letters = len(outcome.text) + sum(len(str(call)) for call in outcome.tool_calls)
    produced = max(min(letters, 1), round(letters / 4))
    usage = replace(
        told, input_tokens=estimated_tokens(body), output_tokens=produced, total_tokens=None, estimated=True
    )
    return replace(outcome, usage=usage)


def estimated_tokens(body: Mapping[str, Any]) -> int:
    """Tokens of a request by rule of thumb: four characters of text each, 1,500 for a picture or file."""
    return max(1, round(_weight(body)))


def _weight(whole: Any) -> float:
    """By exact types first, as JSON has them: prompts have thousands of values, and every request asks.
    Without recursion, as they may be nested deeper than the stack is."""
    weight, left = 0.0, [whole]
    while left:
        value = left.pop()
        kind = type(value)
        if kind is str:
            weight += len(value) / 4
        elif kind is dict or isinstance(value, Mapping):
            left += value.values()
            for name in _FILES & value.keys():
                weight += _more_as_file(value, name)
        elif kind is list:
            left += value
        elif isinstance(value, int | float):
            weight += 1.0
    return weight


def _more_as_file(holder: Mapping[str, Any], name: str) -> float:
    """How much more a value weighs as the file it is than as a text.

    Only where providers look for files: a text does not become one by how it begins, or how long it is.
    """
    value = holder[name]
    if not isinstance(value, str) or holder.get("type") == "text" or value.startswith(_TEXTS):
        return 0.0
    as_text = len(value) / 4
    if value.startswith("data:") or holder.get("type") == "base64":
        return _FILE - as_text
    return min(0.0, _FILE - as_text) if name in _BARE else 0.0


def _output(outcome: ChatOutcome) -> dict[str, Any]:
    if outcome.embeddings:
        return {"embeddings": _vectors(outcome.embeddings)}
    output: dict[str, Any] = {"text": outcome.text, "finish_reason": outcome.finish_reason}
    if outcome.tool_calls:
        output["tool_calls"] = [dict(call) for call in outcome.tool_calls]
    return output


def _vectors(answer: bytes) -> list[Any]:
    """In the order of their texts; as they came, where an answer that is handed through numbers none."""
    rows = [row for row in orjson.loads(answer).get("data") or () if isinstance(row, dict)]
    if all(isinstance(row.get("index"), int) for row in rows):
        rows.sort(key=itemgetter("index"))
    return [row.get("embedding") for row in rows]


def error_json(error: HeadgateError) -> dict[str, Any]:
    """As a record keeps it."""
    return {
        "code": error.code,
        "detail": error.detail,
        "retryable": error.retryable,
        "origin": error.spec.origin,
        "provider": error.provider,
        "provider_request_id": error.provider_request_id,
    }
