"""What services may rely on of any store of users' connections."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from headgate.codec import snapshot_version
from headgate.domain.audit import AuditEvent
from headgate.domain.connections import Connection
from headgate.domain.errors import Conflict, NotFound
from headgate.ports import ConnectionModels, ConnectionStore
from headgate.testing.memory import ManualClock
from tests.contract.conftest import Aws, Connections
from tests.contract.values import NOON, model


def connection(number: int, **fields: Any) -> Connection:
    at = NOON + timedelta(seconds=number)
    return Connection(
        **{
            "id": f"con_{number:04d}",
            "user_id": "ada",
            "name": f"connection {number}",
            "type": "openai",
            "created_at": at,
            "updated_at": at,
            "sealed": b"\x00sealed %d\xff" % number,
            "key_hint": "abcd",
            **fields,
        }
    )


def told(name: str) -> AuditEvent:
    return AuditEvent(
        id=f"evt_{name}", at=NOON, actor="key_1", action="connection.test", target=name, user_id="ada"
    )


_count = iter(range(10**9))


def some_event() -> AuditEvent:
    return told(f"{next(_count):026d}")


async def create(store: ConnectionStore, *numbers: int, **fields: Any) -> list[Connection]:
    made = [connection(number, **fields) for number in numbers]
    for one in made:
        await store.create(one, some_event())
    return made


def changed(row: Connection, **fields: Any) -> Connection:
    return replace(row, revision=row.revision + 1, **fields)


async def set_active(store: ConnectionStore, connection_id: str, active: bool) -> None:
    row = (await store.load("ada")).find(connection_id)
    assert row is not None
    await store.replace(changed(row, is_active=active), some_event())


async def test_a_user_without_any_has_none(connections: Connections) -> None:
    found = await connections.store.load("ada")
    assert found.rows == ()
    assert found.default_id is None


async def test_a_connection_is_found_as_it_was_stored(connections: Connections) -> None:
    full = connection(
        1,
        base_url="https://llm.example.com:8443/v1",
        default_model="openai/x",
        timeout_s=2.5,
        max_retries=0,
        metadata={"team": "a", "deep": {"n": [1, None]}},
        needs_attention="provider_auth: no",
        name="Ünï ✓",
    )
    bare = connection(2, sealed=None, key_hint=None)
    await connections.store.create(full, some_event())
    await connections.store.create(bare, some_event())
    assert (await connections.store.load("ada")).rows == (bare, full)


async def test_users_see_nothing_of_each_other(connections: Connections) -> None:
    store = connections.store
    await create(store, 1)
    await create(store, 2, user_id="ada#2")
    await create(store, 3, user_id="grace")
    assert [row.id for row in (await store.load("ada")).rows] == ["con_0001"]
    assert [row.id for row in (await store.load("grace")).rows] == ["con_0003"]
    with pytest.raises(NotFound):
        await store.set_default("grace", "con_0001", some_event())
    with pytest.raises(Conflict):
        await store.replace(changed(connection(1, user_id="grace")), some_event())


async def test_they_are_listed_newest_first_and_the_default_is_used_first(connections: Connections) -> None:
    store = connections.store
    await create(store, 2, 3, 1)
    found = await store.load("ada")
    assert [row.id for row in found.rows] == ["con_0003", "con_0002", "con_0001"]
    assert found.default_id == "con_0002"
    assert [row.id for row in found.active] == ["con_0002", "con_0003", "con_0001"]


async def test_the_first_active_one_becomes_the_default(connections: Connections) -> None:
    store = connections.store
    await create(store, 1, is_active=False)
    assert (await store.load("ada")).default_id is None
    await create(store, 2, 3)
    assert (await store.load("ada")).default_id == "con_0002"


async def test_removing_the_default_promotes_the_newest_active_one(connections: Connections) -> None:
    store = connections.store
    await create(store, 1, 2, 3, 4)
    await set_active(store, "con_0004", False)
    await set_active(store, "con_0001", False)
    assert (await store.load("ada")).default_id == "con_0003"
    for last in ("con_0003", "con_0002"):
        await set_active(store, last, False)
    assert (await store.load("ada")).default_id is None


async def test_one_that_comes_back_takes_the_default_only_if_there_is_none(connections: Connections) -> None:
    store = connections.store
    await create(store, 1, 2)
    await set_active(store, "con_0001", False)
    await set_active(store, "con_0001", True)
    assert (await store.load("ada")).default_id == "con_0002"
    await set_active(store, "con_0001", False)
    await set_active(store, "con_0002", False)
    await set_active(store, "con_0001", True)
    assert (await store.load("ada")).default_id == "con_0001"


async def test_an_active_one_can_be_made_the_default(connections: Connections) -> None:
    store = connections.store
    await create(store, 1, 2)
    await store.set_default("ada", "con_0002", some_event())
    await store.set_default("ada", "con_0002", some_event())
    assert (await store.load("ada")).default_id == "con_0002"
    await set_active(store, "con_0001", False)
    with pytest.raises(Conflict):
        await store.set_default("ada", "con_0001", some_event())
    with pytest.raises(NotFound):
        await store.set_default("ada", "con_9999", some_event())
    assert (await store.load("ada")).default_id == "con_0002"


async def test_an_id_is_given_once_but_the_same_write_may_come_twice(connections: Connections) -> None:
    store = connections.store
    (first,) = await create(store, 1)
    await store.create(first, some_event())
    with pytest.raises(Conflict):
        await store.create(connection(1, name="another"), some_event())
    assert (await store.load("ada")).rows == (first,)


async def test_a_change_made_on_older_facts_is_refused(connections: Connections) -> None:
    store = connections.store
    (row,) = await create(store, 1)
    await store.replace(changed(row, name="new"), some_event())
    await store.replace(changed(row, name="new"), some_event())
    with pytest.raises(Conflict):
        await store.replace(changed(row, name="other"), some_event())
    with pytest.raises(Conflict):
        await store.replace(changed(connection(7)), some_event())
    assert [found.name for found in (await store.load("ada")).rows] == ["new"]


async def test_a_change_may_take_the_key_away(connections: Connections) -> None:
    store = connections.store
    (row,) = await create(store, 1, type="custom", base_url="https://a.example")
    await store.replace(changed(row, sealed=None, key_hint=None), some_event())
    assert (await store.load("ada")).rows == (changed(row, sealed=None, key_hint=None),)


async def test_every_change_is_told_of_and_a_refused_one_is_not(connections: Connections) -> None:
    store = connections.store
    row, other = connection(1), connection(2)
    names = ["00000000000000000000000001", "00000000000000000000000002", "00000000000000000000000003"]
    await store.create(row, told(names[0]))
    await store.create(other, some_event())
    await store.replace(changed(row, name="new"), told(names[1]))
    await store.set_default("ada", other.id, told(names[2]))
    with pytest.raises(Conflict):
        await store.replace(changed(row, name="late"), told("refused"))
    with pytest.raises(Conflict):
        await store.create(connection(1, name="taken"), told("taken"))
    stored = await connections.audited()
    assert {f"evt_{name}" for name in names} <= stored
    assert not {"evt_refused", "evt_taken"} & stored


async def test_there_is_one_default_under_twenty_writers_at_once(connections: Connections) -> None:
    """Half of them make connections, the others delete, restore and choose among those that there were."""
    store = connections.store
    await create(store, *range(10))

    async def toggle(number: int) -> None:
        for active in (False, True, False):
            try:
                await set_active(store, f"con_{number:04d}", active)
                await store.set_default("ada", f"con_{(number + 1) % 10:04d}", some_event())
            except Conflict:
                pass  # someone else was quicker

    await asyncio.gather(
        *(create(store, number) for number in range(10, 20)), *(toggle(number) for number in range(10))
    )
    found = await store.load("ada")
    assert len(found.rows) == 20
    assert found.default_id in {row.id for row in found.active}
    for row in found.active:
        await set_active(store, row.id, False)
    assert (await store.load("ada")).default_id is None


async def test_the_last_ones_go_at_once_and_no_default_is_left(connections: Connections) -> None:
    store = connections.store
    await create(store, *range(8))
    await asyncio.gather(*(set_active(store, f"con_{number:04d}", False) for number in range(8)))
    found = await store.load("ada")
    assert (found.active, found.default_id) == ((), None)
    await asyncio.gather(*(set_active(store, f"con_{number:04d}", True) for number in range(8)))
    found = await store.load("ada")
    assert len(found.active) == 8
    assert found.default_id is not None


async def test_twenty_choices_at_once_leave_one_of_them(connections: Connections) -> None:
    store = connections.store
    await create(store, *range(20))
    await asyncio.gather(*(store.set_default("ada", f"con_{n:04d}", some_event()) for n in range(20)))
    found = await store.load("ada")
    assert next(row.id for row in found.active) == found.default_id


async def test_of_changes_to_one_at_once_one_is_made(connections: Connections) -> None:
    store = connections.store
    (row,) = await create(store, 1)
    outcomes = await asyncio.gather(
        *(store.replace(changed(row, name=f"name {n}"), some_event()) for n in range(5)),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict"] * 4 + ["NoneType"]


async def test_attention_is_noted_and_cleared_for_the_key_it_is_about(connections: Connections) -> None:
    store = connections.store
    (row,) = await create(store, 1)

    async def noted(sealed: bytes | None, reason: str | None) -> str | None:
        await store.note_attention("ada", row.id, sealed=sealed, reason=reason)
        found = (await store.load("ada")).find(row.id)
        assert found is not None
        assert replace(found, needs_attention=None) == row
        return found.needs_attention

    assert await noted(b"another", "refused") is None
    assert await noted(None, "refused") is None
    assert await noted(row.sealed, "refused") == "refused"
    assert await noted(b"another", None) == "refused"
    assert await noted(row.sealed, None) is None
    await store.note_attention("ada", "con_9999", sealed=None, reason="refused")
    await store.note_attention("ada", "con_9999", sealed=b"x", reason="refused")
    assert len((await store.load("ada")).rows) == 1


async def test_attention_outlives_changes_but_not_the_key(connections: Connections) -> None:
    store = connections.store
    (row,) = await create(store, 1)
    await store.note_attention("ada", row.id, sealed=row.sealed, reason="refused")
    renamed = changed(row, name="new")  # made on what was read before the note
    await store.replace(renamed, some_event())
    (found,) = (await store.load("ada")).rows
    assert (found.name, found.needs_attention) == ("new", "refused")
    await store.replace(changed(found, sealed=b"new key"), some_event())
    (found,) = (await store.load("ada")).rows
    assert found.needs_attention is None


async def test_attention_for_one_without_a_key_goes_with_its_address(connections: Connections) -> None:
    store = connections.store
    (row,) = await create(store, 1, type="custom", sealed=None, base_url="https://a.example/v1")
    await store.note_attention("ada", row.id, sealed=None, reason="unreachable")
    (found,) = (await store.load("ada")).rows
    assert found.needs_attention == "unreachable"
    await store.replace(changed(found, base_url="https://b.example/v1"), some_event())
    assert (await store.load("ada")).rows[0].needs_attention is None


def models_of(row: Connection, count: int, clock: ManualClock, **fields: Any) -> ConnectionModels:
    models = tuple(model(f"m{number:05d}") for number in range(count))
    return ConnectionModels(
        connection_id=row.id,
        version=snapshot_version(models),
        checked_at=clock.now(),
        models=models,
        **fields,
    )


async def test_lists_are_kept_by_connection(connections: Connections, clock: ManualClock) -> None:
    store = connections.store
    rows = await create(store, 1, 2, 3)
    assert await store.read_lists(rows) == {}
    assert await store.read_lists([]) == {}
    first, second = models_of(rows[0], 3, clock), models_of(rows[1], 0, clock, error="provider_auth: no")
    await store.write_list(rows[0], first)
    await store.write_list(rows[1], second)
    assert await store.read_lists(rows) == {rows[0].id: first, rows[1].id: second}
    newer = models_of(rows[0], 2, clock)
    await store.write_list(rows[0], newer)
    assert await store.read_lists(rows[:1]) == {rows[0].id: newer}
    assert len((await store.load("ada")).rows) == 3


async def test_a_list_of_ten_thousand_models_is_kept(connections: Connections, clock: ManualClock) -> None:
    store = connections.store
    (row,) = await create(store, 1)
    large = models_of(row, 10_000, clock)
    await store.write_list(row, large)
    assert await store.read_lists([row]) == {row.id: large}


@pytest.mark.parametrize(
    "change", [{"sealed": b"new"}, {"base_url": "https://b.example"}, {"type": "custom"}]
)
async def test_a_list_is_gone_with_the_key_or_address_it_was_asked_with(
    connections: Connections, clock: ManualClock, change: dict[str, Any]
) -> None:
    store = connections.store
    (row,) = await create(store, 1)
    await store.write_list(row, models_of(row, 2, clock))
    now = changed(row, **change)
    await store.replace(now, some_event())
    assert await store.read_lists([now]) == {}
    fresh = models_of(now, 1, clock)
    await store.write_list(now, fresh)
    await store.write_list(row, models_of(row, 5, clock))  # a slow look with the old key
    assert await store.read_lists([now]) == {row.id: fresh}


async def test_a_new_name_leaves_the_list(connections: Connections, clock: ManualClock) -> None:
    store = connections.store
    (row,) = await create(store, 1)
    listed = models_of(row, 2, clock)
    await store.write_list(row, listed)
    assert await store.read_lists([changed(row, name="new")]) == {row.id: listed}


async def test_a_list_of_another_user_is_not_read(connections: Connections, clock: ManualClock) -> None:
    (row,) = await create(connections.store, 1)
    await connections.store.write_list(row, models_of(row, 2, clock))
    assert await connections.store.read_lists([replace(row, user_id="grace")]) == {}


async def test_a_list_expires(connections: Connections, clock: ManualClock) -> None:
    store = connections.store
    (row,) = await create(store, 1)
    await store.write_list(row, models_of(row, 2, clock))
    clock.advance(24 * 3600)
    assert await store.read_lists([row])
    clock.advance(2 * 3600)
    assert await store.read_lists([row]) == {}


async def test_a_list_that_is_read_again_costs_one_small_read(
    aws: Aws, connections: Connections, clock: ManualClock
) -> None:
    if not connections.is_aws:
        return
    store = connections.store
    (row,) = await create(store, 1)
    await store.write_list(row, models_of(row, 50, clock))
    await store.read_lists([row])
    aws.calls.clear()
    await store.read_lists([row])
    assert aws.operations() == ["query"]
