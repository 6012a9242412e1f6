"""Hypothesis strategies for conversations and answers, of what both sides of a translation can say."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from headgate.domain.answers import (
    AnswerEvent,
    Finished,
    FinishReason,
    Measured,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from headgate.domain.conversation import (
    Conversation,
    Media,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from headgate.domain.generation import Usage
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from headgate.providers.dialects.openai_answers import write_json

WORDS = st.text(min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
OPAQUE = st.from_regex(r"[A-Za-z0-9+/]{4,20}", fullmatch=True)
CACHE = st.sampled_from([None, None, "5m", "1h"])
BASE64 = st.sampled_from(["aGk=", "AAEC", "TG9yZW0="])
ARGUMENTS = st.dictionaries(
    st.text(max_size=6),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
        max_leaves=4,
    ),
    max_size=3,
).map(lambda value: write_json(value).decode())


@dataclass(frozen=True)
class Scope:
    """What one dialect can say of all that there is.

    origins: whose signed thoughts it can carry. linked: whether it takes documents by URL.
    """

    name: str
    details: bool = False
    names: bool = False
    errors: bool = False
    refusals: bool = False
    audio: bool = False
    titles: bool = False
    linked: bool = True
    file_ids: str = "file-"
    origins: tuple[str, ...] = (ANTHROPIC_MESSAGES,)


IN_CHAT = Scope(
    name=OPENAI_CHAT,
    details=True,
    names=True,
    refusals=True,
    audio=True,
    origins=(ANTHROPIC_MESSAGES, GEMINI, OPENAI_RESPONSES),
)
IN_MESSAGES = Scope(name=ANTHROPIC_MESSAGES, errors=True, titles=True, file_ids="file_")


# -- requests ---------------------------------------------------------------------------------------------


def texts() -> st.SearchStrategy[Text]:
    return st.builds(Text, text=WORDS, cache=CACHE)


def media(scope: Scope) -> st.SearchStrategy[Media]:
    urls = st.sampled_from(["https://example.com/a.png", "https://example.com/b?c=d"])
    images = st.sampled_from(["image/png", "image/jpeg", "image/webp"])
    detail = st.sampled_from([None, "low", "high", "auto"]) if scope.details else st.none()
    titles = st.none() | NAMES
    kinds = [
        st.builds(Media, kind=st.just("image"), url=urls, detail=detail, cache=CACHE),
        st.builds(Media, kind=st.just("image"), data=BASE64, mime_type=images, detail=detail, cache=CACHE),
        st.builds(
            Media,
            kind=st.just("file"),
            data=BASE64,
            mime_type=st.just("application/pdf"),
            name=titles if scope.titles else NAMES,
            cache=CACHE,
        ),
        st.builds(Media, kind=st.just("file"), file_id=OPAQUE.map(scope.file_ids.__add__), cache=CACHE),
    ]
    if scope.linked:
        kinds.append(st.builds(Media, kind=st.just("file"), url=urls, name=titles if scope.titles else NAMES))
    if scope.audio:
        sounds = st.sampled_from(["audio/wav", "audio/mpeg"])
        kinds.append(st.builds(Media, kind=st.just("audio"), data=BASE64, mime_type=sounds))
        kinds.append(st.builds(Media, kind=st.just("video"), url=urls))
    return st.one_of(kinds)


def thoughts(scope: Scope) -> st.SearchStrategy[list[Reasoning]]:
    """Signed thoughts, in order. Two of one kind never meet unsigned: there is no telling them apart then."""
    kinds = []
    for origin in scope.origins:
        kinds.append(st.builds(Reasoning, text=WORDS, signature=OPAQUE, origin=st.just(origin)))
        if origin != OPENAI_RESPONSES:
            kinds.append(st.builds(Reasoning, redacted=OPAQUE, origin=st.just(origin)))
    return st.lists(st.one_of(kinds), max_size=3)


@st.composite
def assistants(draw: st.DrawFn, scope: Scope, ids: list[str]) -> Message:
    """Thoughts, then one text, then calls; `ids` are those of the calls."""
    parts: list[Part] = [*draw(thoughts(scope))]
    says = draw(st.sampled_from(["text", "text", "refusal"] if scope.refusals else ["text"]))
    if says == "refusal" and not ids:
        parts.append(Refusal(text=draw(WORDS)))
    elif not ids or draw(st.booleans()):
        parts.append(draw(texts()))
    parts += [ToolCall(id=call_id, name=draw(NAMES), arguments=draw(ARGUMENTS)) for call_id in ids]
    return Message(role=Role.ASSISTANT, parts=tuple(parts), name=_name(draw, scope))


def _name(draw: st.DrawFn, scope: Scope) -> str | None:
    return draw(st.none() | NAMES) if scope.names else None


@st.composite
def messages(draw: st.DrawFn, scope: Scope) -> tuple[Message, ...]:
    """Instructions, then turns that alternate; results of every call right after it."""
    found: list[Message] = []
    if draw(st.booleans()):
        said = draw(st.lists(texts(), min_size=1, max_size=2))
        found.append(Message(role=Role.SYSTEM, parts=tuple(said), name=_name(draw, scope)))
    for _ in range(draw(st.integers(1, 3))):
        asked = st.lists(texts() | media(scope), min_size=1, max_size=3)
        found.append(Message(role=Role.USER, parts=tuple(draw(asked)), name=_name(draw, scope)))
        ids = draw(st.lists(NAMES, max_size=2, unique=True))
        answer = draw(assistants(scope, ids))
        found.append(answer)
        if ids:
            results = tuple(
                draw(_results(scope, part)) for part in answer.parts if isinstance(part, ToolCall)
            )
            found.append(Message(role=Role.TOOL, parts=results))
            if draw(st.booleans()):
                found.append(draw(assistants(scope, [])))
    if found[-1].role is Role.ASSISTANT:
        found.append(Message(role=Role.USER, parts=(draw(texts()),)))
    return tuple(found)


@st.composite
def _results(draw: st.DrawFn, scope: Scope, call: ToolCall) -> ToolResult:
    images = st.builds(Media, kind=st.just("image"), data=BASE64, mime_type=st.just("image/png"))
    return ToolResult(
        call_id=call.id,
        name=call.name,
        parts=tuple(draw(st.lists(texts() | images, max_size=2))),
        is_error=draw(st.booleans()) if scope.errors else False,
        cache=draw(CACHE),
    )


def _schema() -> st.SearchStrategy[dict[str, Any]]:
    properties = st.dictionaries(NAMES, st.just({"type": "string"}), max_size=2)
    return properties.map(lambda found: {"type": "object", "properties": found})


def tools() -> st.SearchStrategy[list[Tool]]:
    tool = st.builds(
        Tool,
        name=NAMES,
        description=st.none() | WORDS,
        parameters=_schema(),
        strict=st.none() | st.booleans(),
        cache=CACHE,
    )
    return st.lists(tool, max_size=2)


@st.composite
def choices(draw: st.DrawFn, scope: Scope) -> ToolChoice:
    mode = draw(st.sampled_from(["auto", "none", "required", "tool"]))
    parallel = draw(st.none() | st.booleans())
    if scope.name == ANTHROPIC_MESSAGES and mode == "none":
        parallel = None
    return ToolChoice(mode=mode, name=draw(NAMES) if mode == "tool" else None, parallel=parallel)  # type: ignore[arg-type]


def outputs(scope: Scope) -> st.SearchStrategy[OutputFormat]:
    if scope.name == ANTHROPIC_MESSAGES:
        return st.builds(OutputFormat, kind=st.just("json_schema"), schema=_schema(), strict=st.just(True))
    by_schema = st.builds(
        OutputFormat,
        kind=st.just("json_schema"),
        name=NAMES,
        description=st.none() | WORDS,
        schema=_schema(),
        strict=st.none() | st.booleans(),
    )
    return by_schema | st.builds(OutputFormat, kind=st.sampled_from(["text", "json_object"]))


def thinkings(scope: Scope) -> st.SearchStrategy[Thinking]:
    if scope.name == ANTHROPIC_MESSAGES:
        words = st.sampled_from(["low", "medium", "high", "xhigh", "max"])
        return st.builds(Thinking, effort=words, visible=st.booleans())
    words = st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"])
    seen = st.none() | st.booleans()
    return st.one_of(
        st.builds(Thinking, effort=words, visible=seen),
        st.builds(Thinking, budget_tokens=st.integers(1, 100_000), visible=seen),
        st.builds(Thinking, adaptive=st.just(True), visible=seen),
    )


@st.composite
def conversations(draw: st.DrawFn, scope: Scope) -> Conversation:
    """A request in which everything can be said. Claude's sampling and thinking exclude each other."""
    given = draw(tools())
    claude = scope.name == ANTHROPIC_MESSAGES
    thinks = draw(st.none() | thinkings(scope))
    samples = not claude
    return Conversation(
        messages=draw(messages(scope)),
        tools=tuple(given),
        tool_choice=draw(st.none() | choices(scope)) if given else None,
        output=draw(st.none() | outputs(scope)),
        thinking=thinks,
        max_tokens=draw(st.integers(1, 100_000) if claude else st.none() | st.integers(1, 100_000)),
        temperature=draw(st.none() | st.floats(0, 2)) if samples else None,
        top_p=draw(st.none() | st.floats(0, 1)) if samples else None,
        top_k=draw(st.none() | st.integers(1, 100)) if samples else None,
        stop=tuple(draw(st.lists(WORDS, max_size=2))),
        seed=draw(st.none() | st.integers(0, 2**31)) if samples else None,
        frequency_penalty=draw(st.none() | st.floats(-2, 2)) if samples else None,
        presence_penalty=draw(st.none() | st.floats(-2, 2)) if samples else None,
        user=draw(st.none() | NAMES),
    )


# -- answers ----------------------------------------------------------------------------------------------


@st.composite
def usages(draw: st.DrawFn, scope: Scope) -> Usage:
    """Counts that add up, as a provider tells them."""
    plain, read, written = (draw(st.integers(0, 9_999)) for _ in range(3))
    out = draw(st.integers(0, 9_999))
    costs = st.none() | st.integers(1, 10_000).map(lambda count: Decimal(count).scaleb(-6))
    total = plain + read + written
    return Usage(
        input_tokens=total,
        output_tokens=out,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=draw(st.none() | st.integers(0, out)),
        total_tokens=total + out if scope.name == OPENAI_CHAT else None,
        cost_usd=draw(costs),
    )


@st.composite
def answers(draw: st.DrawFn, scope: Scope) -> list[AnswerEvent]:
    """The events of an answer: thoughts, a text or a refusal, tool calls; why it ended; what it used."""
    events: list[AnswerEvent] = [Started(id=draw(NAMES), model=draw(NAMES))]
    for thought in draw(thoughts(scope)):
        if thought.redacted is not None:
            events.append(ReasoningDelta(redacted=thought.redacted, origin=thought.origin))
            continue
        cut = draw(st.integers(0, len(thought.text)))
        halves = (thought.text[:cut], thought.text[cut:])
        events += [ReasoningDelta(text=half, origin=thought.origin) for half in halves]
        events.append(ReasoningDelta(signature=thought.signature, origin=thought.origin))
    says = draw(st.sampled_from(["nothing", "text", "refusal"] if scope.refusals else ["nothing", "text"]))
    if says == "text":
        events += [TextDelta(text=piece) for piece in draw(st.lists(WORDS, min_size=1, max_size=3))]
    if says == "refusal":
        events += [RefusalDelta(text=piece) for piece in draw(st.lists(WORDS, min_size=1, max_size=3))]
    ids = draw(st.lists(NAMES, max_size=2, unique=True)) if says != "refusal" else []
    for index, call_id in enumerate(ids):
        events.append(ToolCallStarted(index=index, id=call_id, name=draw(NAMES)))
        arguments = draw(ARGUMENTS)
        cut = draw(st.integers(0, len(arguments)))
        pieces = [piece for piece in (arguments[:cut], arguments[cut:]) if piece]
        events += [ToolCallDelta(index=index, arguments=piece) for piece in pieces]
    events.append(draw(_finishes(scope, calls=bool(ids))))
    return [*events, Measured(usage=draw(usages(scope)))]


@st.composite
def _finishes(draw: st.DrawFn, scope: Scope, *, calls: bool) -> Finished:
    if calls:
        return Finished(reason=FinishReason.TOOL_CALLS)
    both = [FinishReason.STOP, FinishReason.LENGTH]
    if scope.name == OPENAI_CHAT:
        return Finished(reason=draw(st.sampled_from([*both, FinishReason.FILTERED])))
    reason = draw(
        st.sampled_from([*both, FinishReason.REFUSAL, FinishReason.PAUSE, FinishReason.STOP_SEQUENCE])
    )
    hit = draw(WORDS) if reason is FinishReason.STOP_SEQUENCE else None
    return Finished(reason=reason, stop_sequence=hit)
