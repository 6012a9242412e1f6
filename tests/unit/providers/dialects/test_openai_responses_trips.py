"""There and back: what both sides of the dialect can say survives the way through it, however it is cut."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.domain.answers import (
    Answer,
    AnswerEvent,
    Finished,
    FinishReason,
    Measured,
    MediaProduced,
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
from headgate.providers.dialects.base import OPENAI_CHAT, OPENAI_RESPONSES
from headgate.providers.dialects.thinking import EFFORTS
from tests.unit.providers.dialects.responses import (
    DIALECT,
    asking,
    context,
    last_response,
    read,
    read_whole,
    sum_of,
    write,
)

texts = st.text(min_size=1, max_size=20)
names = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
ids = st.from_regex(r"[a-z]{2,4}_[0-9a-f]{4,8}", fullmatch=True)
urls = names.map("https://x.example/{}".format)
base64s = st.from_regex(r"([A-Za-z0-9+/]{4}){1,4}", fullmatch=True)
schemas = st.fixed_dictionaries({"type": st.just("object"), "title": names})
objects = st.dictionaries(names, st.integers() | texts, max_size=3).map(json.dumps)

# -- conversations ----------------------------------------------------------------------------------------

images = st.builds(
    lambda source, detail: Media(kind="image", detail=detail, **source),
    st.builds(dict, url=urls)
    | st.builds(dict, file_id=ids.map("file-{}".format))
    | st.builds(dict, data=base64s, mime_type=st.sampled_from(["image/png", "image/webp"])),
    st.sampled_from([None, "auto", "low", "high"]),
)
files = st.builds(
    lambda source: Media(kind="file", **source),
    st.builds(dict, url=urls)
    | st.builds(dict, file_id=ids.map("file-{}".format))
    | st.builds(dict, data=base64s, mime_type=st.sampled_from(["application/pdf", "text/plain"]), name=names),
)
sounds = st.builds(
    Media, kind=st.just("audio"), data=base64s, mime_type=st.sampled_from(["audio/wav", "audio/mpeg"])
)
given_parts = st.builds(Text, text=texts) | images | files
thoughts = st.builds(
    Reasoning, text=texts, signature=texts, origin=st.just(OPENAI_RESPONSES), id=st.none() | ids
) | st.builds(Reasoning, redacted=texts, origin=st.just(OPENAI_RESPONSES), id=st.none() | ids)
said_parts = st.builds(Text, text=texts) | st.builds(Refusal, text=texts)


@st.composite
def exchanges(draw: st.DrawFn) -> list[Message]:
    """What a user says, and what the assistant does: thinks, speaks, calls tools and gets their results."""
    user = Message(role=Role.USER, parts=tuple(draw(st.lists(given_parts | sounds, min_size=1, max_size=3))))
    said: list[Part] = draw(st.lists(said_parts, max_size=3))
    calls = draw(st.lists(st.builds(ToolCall, id=ids, name=names, arguments=objects), max_size=3))
    calls = list({call.id: call for call in calls}.values())
    doing: list[Part] = [*draw(st.lists(thoughts, max_size=2)), *said]
    for call in calls:
        doing += [*draw(st.lists(thoughts, max_size=1)), call]
    results = tuple(
        ToolResult(call_id=call.id, name=call.name, parts=tuple(draw(st.lists(given_parts, max_size=2))))
        for call in calls
    )
    turns = [user]
    if doing:
        turns.append(Message(role=Role.ASSISTANT, parts=tuple(doing)))
    if results:
        turns.append(Message(role=Role.TOOL, parts=results))
    return turns


systems = st.builds(lambda text: Message(role=Role.SYSTEM, parts=(Text(text=text),)), texts)
choices = st.none() | st.builds(
    ToolChoice,
    mode=st.sampled_from(["auto", "none", "required"]),
    parallel=st.none() | st.booleans(),
)
formats = st.none() | st.builds(
    OutputFormat,
    kind=st.just("json_schema"),
    name=names,
    description=st.none() | texts,
    schema=schemas,
    strict=st.none() | st.booleans(),
)
formats |= st.builds(OutputFormat, kind=st.sampled_from(["text", "json_object"]))
fractions = st.none() | st.floats(0, 2)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    turns = draw(st.lists(exchanges(), min_size=1, max_size=3))
    visible = draw(st.sampled_from([None, True]))
    effort = draw(st.none() | st.sampled_from(EFFORTS))
    thinking = Thinking(effort=effort, visible=visible)
    tools = st.builds(
        Tool, name=names, description=st.none() | texts, parameters=schemas, strict=st.booleans()
    )
    choice = draw(choices | st.builds(ToolChoice, mode=st.just("tool"), name=names))
    return Conversation(
        messages=(*draw(st.lists(systems, max_size=2)), *(message for turn in turns for message in turn)),
        tools=tuple(draw(st.lists(tools, max_size=3))),
        tool_choice=choice,
        output=draw(formats),
        thinking=thinking if thinking != Thinking() else None,
        max_tokens=draw(st.none() | st.integers(16, 10**6)),
        temperature=draw(fractions),
        top_p=draw(fractions),
        user=draw(st.none() | texts),
    )


@settings(deadline=None)
@given(conversations())
def test_a_conversation_survives_being_asked_as_a_response(conversation: Conversation) -> None:
    call = asking(dialect=OPENAI_CHAT)
    body = json.loads(json.dumps(DIALECT.write_request(conversation, call)))
    back = DIALECT.read_request(body)
    assert back.extras.pop("store") is False  # type: ignore[attr-defined]
    assert back == conversation
    assert call.dropped == []


# -- answers ----------------------------------------------------------------------------------------------

counts = st.integers(0, 10**6)
usages = st.builds(
    lambda given, made, cached, written: Usage(
        input_tokens=given + cached + written,
        output_tokens=made,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=made // 2,
        total_tokens=given + cached + written + made,
    ),
    counts, counts, counts, counts,
)  # fmt: skip


def pieces(of: Callable[..., AnswerEvent]) -> st.SearchStrategy[list[AnswerEvent]]:
    return st.lists(texts.map(lambda text: of(text=text)), min_size=1, max_size=3)


@st.composite
def thinking_events(draw: st.DrawFn) -> list[AnswerEvent]:
    """One thought of a provider of this dialect, or one that nobody signed."""
    origin, thought_id = OPENAI_RESPONSES, "rs_"
    if draw(st.booleans()):
        return [ReasoningDelta(redacted=draw(texts), origin=origin, id=thought_id)]
    deltas = draw(st.lists(texts, min_size=1, max_size=3))
    events: list[AnswerEvent] = [ReasoningDelta(text=each, origin=origin, id=thought_id) for each in deltas]
    if draw(st.booleans()):
        events.append(ReasoningDelta(signature=draw(texts), origin=origin, id=thought_id))
    return events


@st.composite
def answers(draw: st.DrawFn) -> list[AnswerEvent]:
    """An answer's events. Arguments come by turns; usage before or after the finish."""
    image = st.builds(Media, kind=st.just("image"), data=base64s, mime_type=st.just("image/webp"))
    drawn: list[list[AnswerEvent]] = draw(
        st.lists(
            pieces(TextDelta)
            | pieces(RefusalDelta)
            | thinking_events()
            | image.map(lambda media: [MediaProduced(media=media)]),
            max_size=5,
        )
    )
    events: list[AnswerEvent] = [Started(id=draw(names), model=draw(names))]
    for number, each in enumerate(drawn):
        events += [
            replace(event, id=f"rs_{number}") if isinstance(event, ReasoningDelta) else event
            for event in each
        ]
    calls = draw(st.lists(st.tuples(names, st.lists(objects, min_size=1, max_size=3)), max_size=3))
    for index, (name, _) in enumerate(calls):
        events.append(ToolCallStarted(index=index, id=f"call_{index}", name=name))
    deltas = [
        ToolCallDelta(index=index, arguments=each) for index, (_, parts) in enumerate(calls) for each in parts
    ]
    events += draw(st.permutations(deltas))
    usual = FinishReason.TOOL_CALLS if calls else FinishReason.STOP
    reason = draw(st.sampled_from([usual, FinishReason.LENGTH, FinishReason.FILTERED]))
    ending: list[AnswerEvent] = [Finished(reason=reason), Measured(usage=draw(usages))]
    return events + draw(st.permutations(ending))


bodies = st.sampled_from([{}, {"reasoning": {"summary": "auto"}}])


def essence(answer: Answer) -> Answer:
    """Without what is the provider's own: its id, its word for the end, and the cost, which was added."""
    assert answer.finish is not None
    assert answer.usage is not None
    usage = replace(answer.usage, cost_usd=None)
    parts = tuple(part for part in answer.parts if part != Text(text=""))
    finish = replace(answer.finish, native=None)
    return replace(answer, id=None, usage=usage, finish=finish, parts=parts)


@settings(deadline=None)
@given(answers(), bodies)
def test_an_answer_survives_being_streamed_as_a_response(events: list[AnswerEvent], body: Any) -> None:
    assert essence(sum_of(read(write(events, body)))) == essence(sum_of(events))


@settings(deadline=None)
@given(answers(), bodies)
def test_whole_and_streamed_are_the_same_answer(events: list[AnswerEvent], body: Any) -> None:
    streamed = write(events, body)
    whole = json.loads(DIALECT.write_answer(sum_of(events), context(body)))
    assert whole == last_response(streamed)
    assert essence(sum_of(read_whole(whole))) == essence(sum_of(read(streamed)))


@settings(deadline=None)
@given(answers(), st.lists(st.integers(1, 200), max_size=40))
def test_a_stream_reads_the_same_in_any_pieces(events: list[AnswerEvent], lengths: list[int]) -> None:
    stream = write(events)
    reads, place = [], 0
    for length in lengths:
        reads.append(stream[place : place + length])
        place += length
    assert read(*reads, stream[place:]) == read(stream)


@settings(deadline=None)
@given(answers())
def test_the_output_of_one_turn_is_the_assistants_turn_in_the_next(events: list[AnswerEvent]) -> None:
    """But for the images, which the client would have to send as what they are now: its own."""
    told = [event for event in events if not isinstance(event, MediaProduced)]
    output = last_response(write(told))["output"]
    turns = DIALECT.read_request({"input": [{"role": "user", "content": "x"}, *output]}).messages[1:]
    back = [part for turn in turns for part in turn.parts]
    assert [part for part in back if not isinstance(part, Reasoning)] == [
        part for part in sum_of(told).parts if not isinstance(part, Reasoning)
    ]
    signed = [part for part in sum_of(told).parts if isinstance(part, Reasoning)]
    assert [(part.text, part.signature, part.redacted) for part in back if isinstance(part, Reasoning)] == [
        (part.text, part.signature, part.redacted) for part in signed
    ]
