"""A flag is what administrators set, by Powertools' rules; looking it up fails no request."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from headgate.domain.accounts import Flag
from headgate.domain.audit import audit_event
from headgate.domain.errors import GatewayFault, InvalidRequest, NotFound
from headgate.services.acts import Act
from headgate.services.flags import FlagManager, Flags
from tests.support.bench import Bench

FAULT = GatewayFault.unavailable("The table")
BETA = {
    "default": False,
    "rules": {
        "only bob": {
            "when_match": True,
            "conditions": [{"action": "EQUALS", "key": "user_id", "value": "bob"}],
        }
    },
}


class Mast(Bench):
    def __init__(self) -> None:
        super().__init__()
        self.manager = FlagManager(self.accounts)
        self.flags = Flags(self.account_calls, self.clock, self.log)

    async def set(self, name: str, schema: dict[str, Any]) -> Flag:
        return await self.manager.set(Act(actor="key_root", at=self.clock.now()), name, schema)

    @property
    def reads(self) -> int:
        return self.account_calls.calls.count("read_flags")


@pytest.mark.parametrize("default", [True, False])
async def test_a_flag_that_was_never_set_is_what_its_reader_says(default: bool) -> None:
    assert await Mast().flags.is_on("new", default) is default


@pytest.mark.parametrize("on", [True, False])
async def test_a_flag_without_rules_holds_for_all(on: bool) -> None:
    mast = Mast()
    await mast.set("new", {"default": on})
    assert await mast.flags.is_on("new", not on) is on
    assert await mast.flags.is_on("new", not on, {"user_id": "bob"}) is on


async def test_rules_tell_callers_apart() -> None:
    mast = Mast()
    await mast.set("beta", BETA)
    assert await mast.flags.is_on("beta", False, {"user_id": "bob"}) is True
    assert await mast.flags.is_on("beta", True, {"user_id": "ann"}) is False
    assert await mast.flags.is_on("beta", True) is False


async def test_a_change_is_in_force_within_a_minute_and_costs_one_read_in_it() -> None:
    mast = Mast()
    await mast.set("new", {"default": False})
    for _ in range(60):
        await mast.flags.is_on("new", False)
        mast.clock.advance(0.99)
    assert mast.reads == 1
    await mast.set("new", {"default": True})
    mast.clock.advance(0.7)
    assert await mast.flags.is_on("new", False) is True
    assert mast.reads == 2


async def test_of_many_who_look_first_one_reads() -> None:
    mast = Mast()
    await mast.set("new", {"default": True})
    assert await asyncio.gather(*(mast.flags.is_on("new", False) for _ in range(20))) == [True] * 20
    assert mast.reads == 1


async def test_while_the_store_is_away_what_was_read_last_holds() -> None:
    mast = Mast()
    await mast.set("new", {"default": True})
    await mast.flags.is_on("new", False)
    mast.accounts.fault = FAULT
    for _ in range(10):
        mast.clock.advance(3600)
        assert await mast.flags.is_on("new", False) is True
    assert {entry.fields["code"] for entry in mast.log.named("flags.unread")} == {"gateway_unavailable"}


async def test_a_store_that_was_never_there_gives_the_default_and_is_asked_again_soon() -> None:
    mast = Mast()
    await mast.set("new", {"default": True})
    mast.accounts.fault = FAULT
    assert await mast.flags.is_on("new", False) is False
    assert await mast.flags.is_on("new", False) is False
    assert mast.reads == 1
    mast.accounts.fault = None
    mast.clock.advance(5)
    assert await mast.flags.is_on("new", False) is True


async def test_rules_that_no_version_of_ours_wrote_fail_nothing() -> None:
    mast = Mast()
    flag = Flag(name="odd", schema={"rules": {"x": 5}}, updated_at=mast.clock.now(), updated_by="?")
    await mast.accounts.put_flag(flag, audit_event(at=mast.clock.now(), actor="?", action="x", target="odd"))
    assert await mast.flags.is_on("odd", True) is True
    assert await mast.flags.is_on("odd", False) is False


async def test_a_flag_is_found_as_it_was_set_and_who_set_it_is_told() -> None:
    mast = Mast()
    flag = await mast.set("beta", BETA)
    assert await mast.manager.find("beta") == flag
    assert (flag.updated_by, flag.updated_at) == ("key_root", mast.clock.now())
    (event,) = await mast.accounts.read_audit(after=None, limit=5)
    assert (event.actor, event.action, event.target) == ("key_root", "flag.set", "beta")
    with pytest.raises(NotFound):
        await mast.manager.find("none")


async def test_a_flag_that_was_set_is_known_at_once_to_whoever_is_told_to_forget() -> None:
    mast = Mast()
    mast.flags.forget()
    assert await mast.flags.is_on("new", True) is True
    await mast.set("new", {"default": False})
    assert await mast.flags.is_on("new", True) is True
    mast.flags.forget()
    assert await mast.flags.is_on("new", True) is False
    assert mast.reads == 2


def nested(deep: int) -> dict[str, Any]:
    return {"a": nested(deep - 1)} if deep else {}


CONDITION = BETA["rules"]["only bob"]["conditions"][0]  # type: ignore[index]


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({}, "default"),
        ({"default": "yes"}, "default"),
        ({"default": 1}, "default"),
        ({"rules": {}}, "default"),
        ({"default": 10**30}, "default"),
        ({"default": True, "boolean_type": False}, "boolean_type"),
        ({"default": True, "boolean_type": 10**30}, "boolean_type"),
        ({"default": True, "rules": 10**30}, "rules"),
        ({"default": True, "rules": {"a": {"when_match": True, "conditions": [10**30]}}}, "rules"),
        ({"default": True, "rules": {"a": nested(300)}}, "rules"),
        ({"default": True, "rules": []}, "rules"),
        ({"default": True, "rules": {"": {"when_match": True, "conditions": [CONDITION]}}}, "rules"),
        ({"default": True, "rules": {"a": {"when_match": "x", "conditions": [CONDITION]}}}, "rules"),
        ({"default": True, "rules": {"a": {"when_match": True, "conditions": []}}}, "rules"),
        ({"default": True, "rules": {"a": {"when_match": True, "conditions": [5]}}}, "rules"),
        ({"default": True, "rules": {"a": {"when_match": True, "conditions": [{"action": []}]}}}, "rules"),
        ({"default": True, "rules": {"a": {"when_match": True}}}, "rules"),
        ({"default": True, "rules": {str(n): {"note": "x" * 400} for n in range(100)}}, "rules"),
    ],
)
async def test_what_is_no_flag_is_refused_and_changes_nothing(schema: dict[str, Any], field: str) -> None:
    mast = Mast()
    with pytest.raises(InvalidRequest) as refused:
        await mast.set("new", schema)
    assert [error.field for error in refused.value.errors] == [field]
    assert await mast.accounts.read_flags() == {}
    assert await mast.accounts.read_audit(after=None, limit=5) == []


@pytest.mark.parametrize("rules", [{}, None])
async def test_no_rules_are_as_good_as_none(rules: Any) -> None:
    mast = Mast()
    assert (await mast.set("new", {"default": True, "rules": rules})).schema == {"default": True}


async def test_an_act_that_is_repeated_sets_a_flag_once() -> None:
    mast = Mast()
    act = Act(actor="key_root", at=mast.clock.now())
    await mast.manager.set(act, "new", {"default": True})
    await mast.set("new", {"default": False})
    await mast.manager.set(replace(act), "new", {"default": True})
    assert (await mast.manager.find("new")).schema == {"default": False}
    assert len(await mast.accounts.read_audit(after=None, limit=5)) == 2
