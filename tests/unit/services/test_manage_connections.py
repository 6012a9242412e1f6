"""What a repeated, interrupted or contended change of connections leaves behind."""

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.domain.callers import Caller, Scope
from headgate.domain.connections import UserConnections
from headgate.domain.errors import Conflict, GatewayFault, InvalidRequest
from headgate.domain.secret import Secret
from headgate.services.acts import Act, act_by
from headgate.services.manage_connections import (
    MOST_PER_USER,
    ConnectionFields,
    ConnectionFilter,
    ConnectionManager,
)
from headgate.testing.clock import START
from tests.support.bench import Bench

ADA = Caller(user_id="ada", key_id="key_ada", scopes=frozenset({Scope.CONNECTIONS}))
SEED = Secret("5eed" * 16)
KEY = Secret("sk-open-sesame-0123456789")
DOWN = GatewayFault.unavailable("It")


def fields(**more: Any) -> ConnectionFields:
    return ConnectionFields(**{"name": "Work", "type": "openai", "api_key": KEY, **more})


def act(seed: Secret | None = None) -> Act:
    return act_by(ADA, at=START, request_id="req_1", seed=seed)


class Desk:
    def __init__(self) -> None:
        self.bench = Bench("alpha")
        self.manager: ConnectionManager = self.bench.process("connections").connection_manager
        self.store = self.bench.connections

    async def rows(self) -> UserConnections:
        return await self.store.load("ada")


async def test_the_same_act_again_makes_the_same_connection_once() -> None:
    desk = Desk()
    first = await desk.manager.create(ADA, fields(is_default=True), act(SEED))
    again = await desk.manager.create(ADA, fields(is_default=True), act(SEED))
    assert first == again
    assert len((await desk.rows()).rows) == 1
    events = await desk.bench.accounts.read_audit(after=None, limit=10)
    assert [event.action for event in events] == ["connection.create"]
    assert (await desk.manager.create(ADA, fields(), act())).connection.id != first.connection.id


async def test_one_act_sent_many_times_at_once_makes_one_connection() -> None:
    desk = Desk()
    made = await asyncio.gather(*(desk.manager.create(ADA, fields(), act(SEED)) for _ in range(10)))
    assert len({shown.connection.id for shown in made}) == 1
    assert len((await desk.rows()).rows) == 1


@given(after=st.integers(0, 8), where=st.sampled_from(["store", "vault"]), default=st.booleans())
async def test_a_fault_anywhere_leaves_a_state_from_which_the_same_act_ends_well(
    after: int, where: str, default: bool
) -> None:
    desk = Desk()
    other = await desk.manager.create(ADA, fields(name="other"), act())
    failing = desk.store if where == "store" else desk.bench.vault
    failing.fault, failing.faults_after = DOWN, after
    with contextlib.suppress(GatewayFault):
        await desk.manager.create(ADA, fields(is_default=default), act(SEED))
    failing.fault = None
    found = await desk.rows()
    assert found.default_id in {row.id for row in found.active}
    assert all(row.sealed for row in found.rows)
    made = await desk.manager.create(ADA, fields(is_default=default), act(SEED))
    found = await desk.rows()
    assert len(found.rows) == 2
    assert found.default_id == (made if default else other).connection.id


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["create", "delete", "restore", "default"]), st.integers(0, 4)), max_size=25
    )
)
async def test_whatever_is_done_there_is_one_default_if_any_is_active(steps: list[tuple[str, int]]) -> None:
    desk = Desk()
    ids: list[str] = []
    for step, number in steps:
        before = await desk.rows()
        if step == "create" or not ids:
            ids.append((await desk.manager.create(ADA, fields(), act())).connection.id)
            continue
        chosen = ids[number % len(ids)]
        try:
            if step == "delete":
                await desk.manager.delete(ADA, chosen, act())
            elif step == "restore":
                await desk.manager.restore(ADA, chosen, act())
            else:
                await desk.manager.make_default(ADA, chosen, act())
        except Conflict:
            assert step == "default"
            assert chosen not in {row.id for row in before.active}
        found = await desk.rows()
        live = {row.id for row in found.active}
        assert found.default_id in live if live else found.default_id is None
        if before.default_id in live and step != "default":
            assert found.default_id == before.default_id


async def test_a_change_that_others_are_always_quicker_than_is_given_up() -> None:
    desk = Desk()
    made = (await desk.manager.create(ADA, fields(), act())).connection

    async def lose(*_: Any) -> None:
        raise Conflict("Someone else was quicker.")

    desk.store.replace = lose  # type: ignore[assignment, method-assign]
    with pytest.raises(Conflict):
        await desk.manager.change(ADA, made.id, {"name": "New"}, act())


async def test_a_user_has_a_bounded_number_of_connections() -> None:
    desk = Desk()
    for _ in range(MOST_PER_USER):
        shown = await desk.manager.create(ADA, fields(), act())
    await desk.manager.delete(ADA, shown.connection.id, act())
    with pytest.raises(Conflict):
        await desk.manager.create(ADA, fields(), act())
    page, cursor = await desk.manager.list(ADA, ConnectionFilter(), limit=100, cursor=None)
    assert (len(page), cursor is None) == (100, False)


async def test_a_seal_is_for_where_the_key_is_to_be_used() -> None:
    """A key that comes with another address is sealed for that one, not for the old."""
    desk = Desk()
    made = (await desk.manager.create(ADA, fields(), act())).connection
    theirs = "https://llm.example.com:8443/v1"
    changes = {"base_url": theirs, "api_key": Secret("sk-another-0123456789"), "type": "custom"}
    await desk.manager.change(ADA, made.id, changes, act())
    config = await desk.bench.process().connection_keys.config((await desk.rows()).rows[0], lambda _: None)
    assert (config.api_key, config.base_url) == (Secret("sk-another-0123456789"), theirs)
    assert desk.bench.vault.unsealed[-1]["host"] == "llm.example.com:8443"
    assert desk.bench.vault.unsealed[-1]["type"] == "custom"


async def test_no_function_that_seals_opens_anything() -> None:
    desk = Desk()
    made = (await desk.manager.create(ADA, fields(), act())).connection
    await desk.manager.change(ADA, made.id, {"name": "New", "timeout_s": 5}, act())
    await desk.manager.delete(ADA, made.id, act())
    await desk.manager.restore(ADA, made.id, act())
    with pytest.raises(InvalidRequest):
        await desk.manager.change(ADA, made.id, {"type": "gemini"}, act())
    assert desk.bench.vault.unsealed == []
