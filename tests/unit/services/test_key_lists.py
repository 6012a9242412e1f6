"""Connections' lists have one reader: whoever needs them, a user's are read once a minute and process."""

from typing import Any, cast

import pytest

from headgate.domain.errors import GatewayFault
from headgate.services.chat_records import ChatAsk
from headgate.services.key_lists import MOST_USERS
from headgate.testing.memory import MemoryConnectionStore
from tests.support.bench import ANN, Bench, Counted, ann
from tests.support.keys import change, connect, found, say
from tests.support.lists import sees
from tests.support.models import model

DOWN = GatewayFault.unavailable("The table")
BODY = {"messages": [{"role": "user", "content": "hi"}]}
SERVER = {"base_url": "https://home.example"}


class Reading(Bench):
    """Processes that count what they ask the connections' store."""

    def __init__(self) -> None:
        super().__init__("alpha")
        self.stored = self.connections
        self.calls = Counted(self.stored)
        self.connections = cast("MemoryConnectionStore", self.calls)

    @property
    def reads(self) -> int:
        return self.calls.calls.count("read_lists")

    async def ids(self, one: Any, caller: Any = ANN) -> list[str]:
        return [each.id for each in (await one.caller_catalog.view(caller)).models]

    async def explain(self, one: Any, caller: Any = ANN, **ask: Any) -> list[str]:
        """Whose keys would be tried."""
        rows = await one.explain.explain(caller, ChatAsk(**({"body": BODY, "model": "custom/llama"} | ask)))
        return [row.candidate.credential.connection_id for row in rows]


async def test_chats_and_explanations_by_ones_own_server_read_its_list_once_a_minute() -> None:
    bench = Reading()
    await sees(bench, await connect(bench, "custom", "home", **SERVER), model("custom/llama"))
    one = bench.process()
    for _ in range(5):
        assert await bench.explain(one) == ["con_home"]
        bench.clock.advance(11)
    assert (bench.reads, bench.calls.calls.count("load")) == (1, 1)
    bench.clock.advance(6)
    await bench.explain(one)
    assert bench.reads == 2


async def test_in_a_project_each_persons_lists_are_read_once_whoever_calls() -> None:
    bench = Reading()
    for user in ("olga", "mia", "ann"):
        await sees(bench, await connect(bench, "alpha", user, user=user), model(f"alpha/{user}s"))
        await sees(
            bench, await connect(bench, "alpha", f"{user}-two", user=user), model(f"alpha/{user}s-two")
        )
    await found(bench, "p", owner="olga", members=("ann", "mia"))
    named = {"text": "con_mia"}
    await say(bench, "project:p", connections=named, connection_owners={"con_mia": "mia"})
    one = bench.process("models")
    for _ in range(3):
        for caller in (ann(project_id="p"), ANN, ann(user_id="olga"), ann(user_id="mia", project_id="p")):
            await bench.ids(one, caller)
        await bench.ids(one, ann(user_id="mia"))
    assert (bench.reads, bench.calls.calls.count("load")) == (3, 3)


async def test_lists_that_cant_be_read_again_are_forgiven_for_five_minutes() -> None:
    bench = Reading()
    await sees(bench, await connect(bench, "alpha"), model("alpha/own"))
    one = bench.process()
    assert await bench.ids(one) == ["alpha/own"]
    bench.stored.fault = DOWN
    bench.clock.advance(359)
    assert await bench.ids(one) == ["alpha/own"]
    bench.clock.advance(2)
    with pytest.raises(GatewayFault):
        await bench.ids(one)


async def test_a_connection_that_was_changed_has_its_list_read_at_once() -> None:
    bench = Reading()
    row = await connect(bench, "alpha")
    await sees(bench, row, model("alpha/own"))
    one = bench.process("models")
    await bench.ids(one)
    await sees(bench, await change(bench, row, sealed=b"another"), model("alpha/others"))
    one.reach.forget("ann")
    assert await bench.ids(one) == ["alpha/others"]


async def test_everything_is_read_anew_by_a_process_that_is_told_to_forget() -> None:
    bench = Reading()
    row = await connect(bench, "alpha")
    await sees(bench, row, model("alpha/own"))
    one = bench.process()
    await bench.ids(one)
    await sees(bench, row, model("alpha/others"))
    assert await bench.ids(one) == ["alpha/own"]
    one.forget()
    assert await bench.ids(one) == ["alpha/others"]


async def test_of_very_many_users_the_lists_that_were_longest_unused_are_kept_no_longer() -> None:
    bench = Reading()
    one = bench.process("generations")
    for number in range(MOST_USERS + 1):
        user = f"user{number}"
        await sees(bench, await connect(bench, "alpha", user, user=user), model("alpha/own"))
        await bench.ids(one, ann(user_id=user))
        await bench.ids(one, ann(user_id="user0"))
    assert bench.reads == MOST_USERS + 1
    await bench.ids(one, ann(user_id="user1"))
    assert bench.reads == MOST_USERS + 2


async def test_who_only_ever_chats_has_lists_read_anew_before_they_are_dropped() -> None:
    bench = Reading()
    row = await connect(bench, "alpha")
    await sees(bench, row, model("alpha/own"))
    one = bench.process("generations")
    assert await bench.ids(one) == ["alpha/own"]
    bench.clock.advance(11 * 3600)
    await bench.ids(one)
    assert not bench.starter.connections_started
    bench.clock.advance(3600)
    await bench.ids(one)
    assert list(bench.starter.connections_started) == [(("ann", row.id),)]


async def test_a_list_that_many_see_and_nobody_has_read_is_started_once() -> None:
    bench = Reading()
    row = await connect(bench, "alpha", "olgas", user="olga")
    await found(bench, "p", owner="olga")
    one = bench.process("models")
    for user in ("ann", "mia", "olga"):
        await bench.ids(one, ann(user_id=user, project_id="p"))
    assert list(bench.starter.connections_started) == [(("olga", row.id),)]
    await sees(bench, row, model("alpha/olgas"))
    bench.clock.advance(4)
    assert await bench.ids(one, ann(project_id="p")) == ["alpha/olgas"]
