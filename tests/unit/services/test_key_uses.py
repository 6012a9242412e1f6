"""Which keys a chat used and opened is on its record, and from there in the audit log."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from headgate.domain.audit import AuditEvent, audit_event
from headgate.domain.catalog import Modality
from headgate.domain.connections import Connection, key_context
from headgate.domain.errors import GatewayFault
from headgate.domain.generation import GenerationRecord, GenerationStatus
from headgate.domain.secret import Secret
from headgate.services.chat_records import ChatAsk
from headgate.services.explain import Explainer
from headgate.services.record_usage import decrypts, key_uses
from headgate.testing.clock import START
from headgate.testing.memory import Answer
from tests.support.bench import ANN, ann, limited
from tests.support.models import model
from tests.support.provider import fake_provider, lines, said
from tests.support.stage import BODY, BUSY, Stage


async def connect(stage: Stage, connection_id: str, provider: str, *, moved: bool = False) -> None:
    """moved: its row is not the one that its key was sealed for."""
    row = Connection(
        id=connection_id,
        user_id=ANN.user_id,
        name=connection_id,
        type=provider,
        created_at=START,
        updated_at=START,
    )
    sealed_for = replace(row, user_id="someone else") if moved else row
    sealed = await stage.vault.seal(Secret(f"sk-of-{connection_id}"), key_context(sealed_for))
    event = audit_event(at=START, actor="x", action="x", target="x")
    await stage.connections.create(replace(row, sealed=sealed), event)


async def test_the_platforms_key_is_told_by_its_provider() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("hi"))
    record = await stage.stored(await stage.whole(request_id="req_1"))
    (event,) = key_uses(record)
    assert (event.action, event.target, event.actor) == ("provider_key.use", "alpha", ANN.key_id)
    assert (event.user_id, event.request_id) == (ANN.user_id, "req_1")


async def test_a_connection_is_told_by_its_id_and_whoever_took_over_too() -> None:
    stage = await Stage().open_shop()
    await connect(stage, "con_1", "alpha")
    stage.answers("alpha", BUSY)
    stage.answers("beta", said("hi"))
    record = await stage.stored(await stage.whole())
    assert [(attempt.provider, attempt.key) for attempt in record.attempts] == [
        ("alpha", "con_1"),
        ("alpha", "platform"),
        ("beta", "platform"),
    ]
    assert [(event.action, event.target) for event in key_uses(record)] == [
        ("connection.use", "con_1"),
        ("provider_key.use", "alpha"),
        ("provider_key.use", "beta"),
    ]


async def test_a_stream_tells_it_too() -> None:
    stage = await Stage().open_shop()
    await connect(stage, "con_1", "alpha")
    stage.answers("alpha", lines("say hi", "usage 3 2", "END"))
    run, received = await stage.stream()
    await received.rest()
    record = await stage.stored(run)
    assert {attempt.key for attempt in record.attempts} == {"con_1"}


async def test_a_lent_key_is_told_nowhere_but_as_lent() -> None:
    stage = await Stage().open_shop()
    stage.answers("alpha", said("hi"))
    lent = {"alpha": Secret("sk-lent-0123456789")}
    record = await stage.stored(await stage.whole(lent=lent))
    assert [attempt.key for attempt in record.attempts] == ["lent"]
    assert key_uses(record) == []
    assert "sk-lent" not in repr(record)


# -- decryptions --------------------------------------------------------------------------------------------


def opened(record: GenerationRecord) -> list[tuple[str, str]]:
    return [(event.target, event.details["outcome"]) for event in decrypts(record)]


async def test_a_key_is_told_as_opened_by_the_first_chat_and_by_none_while_it_is_in_memory() -> None:
    stage = await Stage().open_shop()
    await connect(stage, "con_1", "alpha")
    stage.answers("alpha", said("hi"))
    records = [await stage.stored(await stage.whole(request_id=f"req_{number}")) for number in range(2)]
    assert [opened(record) for record in records] == [[("con_1", "ok")], []]
    assert [len(key_uses(record)) for record in records] == [1, 1]
    (event,) = decrypts(records[0])
    assert (event.actor, event.user_id, event.request_id) == (ANN.key_id, "ann", "req_0")
    stage.clock.advance(301)
    assert opened(await stage.stored(await stage.whole())) == [("con_1", "ok")]
    assert len(stage.vault.unsealed) == 2


async def test_of_chats_that_wait_for_one_decryption_one_tells_it() -> None:
    stage = await Stage().open_shop()
    await connect(stage, "con_1", "alpha")
    stage.answers("alpha", said("hi"))
    runs = await asyncio.gather(*(stage.whole() for _ in range(10)))
    told = [opened(await stage.stored(run)) for run in runs]
    assert sorted(told) == [[]] * 9 + [[("con_1", "ok")]]
    assert len(stage.vault.unsealed) == 1


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_each_connection_that_was_opened_on_the_way_is_told_and_those_refused_too(
    streamed: bool,
) -> None:
    """Newest first: one whose key can't be opened, one whose provider is busy, one that serves."""
    stage = await Stage().open_shop()
    for connection_id, provider, moved in (
        ("con_serves", "beta", False),
        ("con_busy", "alpha", False),
        ("con_moved", "alpha", True),
    ):
        await connect(stage, connection_id, provider, moved=moved)
    stage.answers("alpha", BUSY)
    stage.answers("beta", lines("say hi", "usage 3 2", "END") if streamed else said("hi"))
    if streamed:
        run, received = await stage.stream()
        await received.rest()
    else:
        run = await stage.whole()
    record = await stage.stored(run)
    assert record.provider == "beta"
    told = opened(record)
    assert sorted(set(told)) == [("con_busy", "ok"), ("con_moved", "refused"), ("con_serves", "ok")]
    assert told[-1] == ("con_serves", "ok")
    assert "con_moved" not in {attempt.key for attempt in record.attempts}


async def test_a_decryption_is_told_though_the_call_or_the_vault_fails() -> None:
    stage = await Stage().open_shop()
    await connect(stage, "con_1", "alpha")
    stage.answers("alpha", BUSY)
    run, _ = await stage.failure(connection_id="con_1")
    assert opened(await stage.stored(run)) == [("con_1", "ok")]
    stage.clock.advance(301)
    stage.vault.fault = GatewayFault.unavailable("The vault")
    run, _ = await stage.failure(connection_id="con_1")
    record = await stage.stored(run)
    assert (record.status, opened(record)) == (GenerationStatus.FAILED, [("con_1", "unknown")])
    assert key_uses(record) == []


async def test_who_leaves_before_the_answer_leaves_the_decryption_told() -> None:
    stage = await Stage().open_shop()
    await connect(stage, "con_1", "alpha")
    asked = stage.answers_once_asked("alpha", Answer(pieces=[asyncio.Event()]))
    run = stage.run()
    await run.prepare()
    waiting = asyncio.ensure_future(run.answer())
    await asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    record = await stage.stored(run)
    assert (record.status, opened(record)) == (GenerationStatus.CANCELLED, [("con_1", "ok")])


async def test_embeddings_tell_it_too() -> None:
    stage = Stage()
    stage.providers["alpha"] = fake_provider("alpha", embeddings_path="/embed")
    stage.one = stage.process()
    await stage.open_shop(model("alpha/m", modality=Modality.EMBEDDING, capabilities={"embeddings"}))
    await connect(stage, "con_1", "alpha")
    stage.transport.on("https://alpha.example/embed", said("vectors", tokens=(3, 0)))
    run = await stage.whole(operation="embeddings", body={"input": "x"}, model="alpha/m")
    assert opened(await stage.stored(run)) == [("con_1", "ok")]


async def test_nothing_is_opened_for_a_request_that_is_refused_before_it_begins() -> None:
    stage = await Stage().open_shop()
    await connect(stage, "con_1", "alpha")
    stage.answers("alpha", said("hi"))
    for key, used_up in (("key_limited", limited(0)), ("key_elsewhere", ann(allowed_models=("beta/x",)))):
        _, error = await stage.failure(caller=replace(used_up, key_id=key), connection_id="con_1")
        assert error.code in ("rate_limited", "forbidden")
    assert (stage.vault.unsealed, len(stage.generations)) == ([], 0)


async def test_explaining_opens_nothing() -> None:
    stage = await Stage().open_shop()
    await connect(stage, "con_1", "alpha")
    rows = await Explainer(stage.one.chat_means).explain(ANN, ChatAsk(body=BODY, model="maker/m"))
    assert "con_1" in {row.candidate.credential.connection_id for row in rows}
    assert stage.vault.unsealed == []


# -- where no record can tell it ----------------------------------------------------------------------------


async def counting() -> tuple[Stage, list[GenerationRecord]]:
    """A stage where tokens are counted by alpha, and what its stream brings."""
    stage = Stage()
    stage.providers["alpha"] = fake_provider("alpha", features=("counting",))
    stage.one = stage.process()
    await stage.open_shop()
    await connect(stage, "con_1", "alpha")
    handed: list[GenerationRecord] = []

    async def note(record: GenerationRecord) -> None:
        handed.append(record)

    stage.generations._on_finish = note
    return stage, handed


def told(records: list[GenerationRecord]) -> list[AuditEvent]:
    return [event for record in records for event in [*decrypts(record), *key_uses(record)]]


async def test_counting_tokens_tells_of_keys_and_leaves_no_generation() -> None:
    stage, handed = await counting()
    stage.transport.on("https://alpha.example/count", Answer(body=b"321"))
    for number in range(2):
        await stage.whole(operation="count_tokens", request_id=f"req_{number}")
    assert [(event.action, event.target, event.request_id) for event in told(handed)] == [
        ("connection.decrypt", "con_1", "req_0"),
        ("connection.use", "con_1", "req_0"),
        ("connection.use", "con_1", "req_1"),
    ]
    assert {event.details["operation"] for event in told(handed)} == {"count_tokens"}
    assert all("generation_id" not in event.details for event in told(handed))
    assert len(stage.generations) == 0
    assert stage.generation_calls.calls == ["count", "tell_keys"] * 2


async def test_a_counting_that_fails_or_is_left_tells_it_once() -> None:
    stage, handed = await counting()
    stage.transport.on("https://alpha.example/count", Answer(status=500))
    run, _ = await stage.failure(operation="count_tokens", connection_id="con_1")
    await run.abandon()
    assert [event.action for event in told(handed)] == ["connection.decrypt", "connection.use"]


async def test_a_counting_that_used_no_key_of_ours_writes_nothing_beside_its_counter() -> None:
    stage, handed = await counting()
    stage.transport.on("https://alpha.example/count", Answer(body=b"321"))
    await stage.whole(operation="count_tokens", lent={"alpha": Secret("sk-lent-0123456789")})
    assert (handed, stage.generation_calls.calls) == ([], ["count"])


async def test_a_key_opened_for_a_count_that_is_then_estimated_is_told_once() -> None:
    stage, handed = await counting()
    stage.providers["alpha"].build_count_tokens = lambda *_: None  # type: ignore[method-assign]
    for _ in range(2):
        await stage.whole(operation="count_tokens")
    assert [(event.action, event.target) for event in told(handed)] == [("connection.decrypt", "con_1")]
    assert stage.generation_calls.calls == ["count", "tell_keys", "count"]


async def test_a_count_is_given_though_it_can_t_be_told_and_the_log_says_of_what() -> None:
    stage, _ = await counting()

    def answer(_request: object) -> Answer:
        stage.generations.fault = GatewayFault.unavailable("The table")
        return Answer(body=b"321")

    stage.transport.on("https://alpha.example/count", answer)
    run = stage.run(operation="count_tokens", request_id="req_1")
    await run.prepare()
    assert (await run.answer()).body == b'{"input_tokens":321}'
    (entry,) = stage.log.named("keys.untold")
    assert (entry.fields["used"], entry.fields["opened"]) == (["con_1"], ["con_1: ok"])
    assert entry.fields["request_id"] == "req_1"
    assert "sk-of" not in repr(stage.log.entries)


async def test_what_ends_after_it_was_given_up_still_tells_of_its_keys() -> None:
    """Who reads slowly enough is overtaken by the sweep, whose record of it knows of no call."""
    stage, handed = await counting()
    stage.answers("alpha", lines("say hi", "usage 3 2", "END"))
    run, received = await stage.stream(request_id="req_1")
    stage.clock.advance(timedelta(hours=1).total_seconds())
    await stage.process("sweep").sweeper.sweep()
    await received.rest()
    record = await stage.stored(run)
    assert (record.status, record.attempts) == (GenerationStatus.EXPIRED, ())
    assert [(event.action, event.target, event.request_id) for event in told(handed)] == [
        ("connection.decrypt", "con_1", "req_1"),
        ("connection.use", "con_1", "req_1"),
    ]
    assert {event.details["generation_id"] for event in told(handed)} == {run.id}
