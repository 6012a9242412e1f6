"""Which keys a chat used is on its record, and from there in the log of their uses."""

from dataclasses import replace

from headgate.domain.audit import audit_event
from headgate.domain.connections import Connection, key_context
from headgate.domain.secret import Secret
from headgate.services.record_usage import key_uses
from headgate.testing.clock import START
from tests.support.bench import ANN
from tests.support.provider import lines, said
from tests.support.stage import BUSY, Stage


async def connect(stage: Stage, connection_id: str, provider: str) -> None:
    row = Connection(
        id=connection_id,
        user_id=ANN.user_id,
        name=connection_id,
        type=provider,
        created_at=START,
        updated_at=START,
    )
    sealed = await stage.vault.seal(Secret(f"sk-of-{connection_id}"), key_context(row))
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
