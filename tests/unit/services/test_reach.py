"""Whose keys and whose settings a request may use, in which order, and for how long they are known."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from headgate.domain.callers import Caller
from headgate.domain.catalog import ModelInfo
from headgate.domain.credentials import PLATFORM, Credential
from headgate.domain.errors import Conflict, GatewayFault, NotFound
from headgate.domain.secret import Secret
from headgate.ports import ConnectionModels
from headgate.services.reach import Reach, ReachService
from tests.support.bench import Bench, Counted, ann
from tests.support.keys import change, connect, delete, found, say
from tests.support.lists import sees
from tests.support.models import model

DOWN = GatewayFault.unavailable("The table")


class Desk(Bench):
    """A reach service over counted stores."""

    def __init__(self) -> None:
        super().__init__("alpha", "beta")
        self.connection_calls = Counted(self.connections)
        self.reach = self.service()

    def service(self) -> ReachService:
        connections: Any = self.connection_calls
        accounts: Any = self.account_calls
        return ReachService(
            connections=connections, projects=accounts, settings=accounts, clock=self.clock, log=self.log
        )

    async def of(self, caller: Caller | None = None, **wanted: Any) -> Reach:
        return await self.reach.of(caller or ann(), **wanted)


def names(credentials: tuple[Credential, ...]) -> list[str]:
    return [each.connection_id or each.paid_by for each in credentials]


def keys_for(reach: Reach, slug: str = "alpha", native_id: str = "m", *, platform: bool = True) -> list[str]:
    return names(reach.credentials(slug, native_id, platform=platform, listed=True))


def lent(**keys: str) -> Mapping[str, Secret]:
    return {slug: Secret(text) for slug, text in keys.items()}


# -- the order ---------------------------------------------------------------------------------------------


async def test_without_keys_of_ones_own_there_is_the_platforms() -> None:
    desk = Desk()
    reach = await desk.of()
    assert reach.credentials("alpha", "m", platform=True, listed=True) == (PLATFORM,)
    assert reach.credentials("alpha", "m", platform=False, listed=True) == ()
    assert reach.slugs == frozenset()


async def test_ones_own_are_tried_before_the_platforms_the_default_first_then_the_newest() -> None:
    desk = Desk()
    for name in ("first", "second", "third"):
        await connect(desk, "alpha", name)
    assert keys_for(await desk.of()) == ["con_first", "con_third", "con_second", "platform"]
    assert keys_for(await desk.of(), "beta") == ["platform"]


async def test_in_a_project_its_settings_users_come_first_then_its_owners_then_ones_own() -> None:
    desk = Desk()
    for user in ("ann", "olga", "stan"):
        await connect(desk, "alpha", user, user=user)
    await found(desk, "p", owner="olga", settings_user_id="stan", members=("ann",))
    assert keys_for(await desk.of(project_id="p")) == ["con_stan", "con_olga", "con_ann", "platform"]
    assert keys_for(await desk.of(ann(project_id="p"))) == ["con_stan", "con_olga", "con_ann", "platform"]
    assert keys_for(await desk.of()) == ["con_ann", "platform"]


async def test_a_key_bound_to_a_project_stays_in_it_whatever_a_request_says() -> None:
    desk = Desk()
    await connect(desk, "alpha", "olga", user="olga")
    await found(desk, "p", owner="olga")
    await found(desk, "q", owner="ann")
    assert keys_for(await desk.of(ann(project_id="p"), project_id="q")) == ["con_olga", "platform"]


async def test_who_is_someone_else_in_a_project_is_asked_for_keys_once() -> None:
    desk = Desk()
    await connect(desk, "alpha", "mine")
    await found(desk, "p", owner="ann", settings_user_id="ann")
    reach = await desk.of(project_id="p")
    assert keys_for(reach) == ["con_mine", "platform"]
    assert reach.words(reach.credentials("alpha", "m", platform=False, listed=True)[0]) == (
        "your connection 'mine'"
    )


async def test_the_connection_that_settings_name_comes_first_at_its_level() -> None:
    desk = Desk()
    for name in ("first", "second"):
        await connect(desk, "alpha", name)
    await say(desk, "user:ann", connections={"text": "con_second"})
    assert keys_for(await desk.of()) == ["con_second", "con_first", "platform"]
    assert keys_for(await desk.of(modality="embedding")) == ["con_first", "con_second", "platform"]


async def test_a_lent_key_is_the_only_one_for_its_provider_and_changes_nothing_for_others() -> None:
    desk = Desk()
    await connect(desk, "alpha", "mine")
    await connect(desk, "beta", "other")
    reach = await desk.of(lent=lent(alpha="sk-lent"))
    assert keys_for(reach) == ["lent"]
    assert keys_for(reach, "beta") == ["con_other", "platform"]


async def test_a_connection_that_is_named_is_the_only_one_at_all() -> None:
    desk = Desk()
    await connect(desk, "alpha", "first")
    await connect(desk, "alpha", "second")
    reach = await desk.of(connection_id="con_second", lent=lent(alpha="x", beta="y"))
    assert keys_for(reach) == ["con_second"]
    assert keys_for(reach, "beta") == []
    assert reach.slugs == {"alpha"}


async def test_deleted_ones_are_used_for_nothing() -> None:
    desk = Desk()
    await delete(desk, await connect(desk, "alpha", "gone"))
    await connect(desk, "alpha", "there")
    assert keys_for(await desk.of()) == ["con_there", "platform"]
    with pytest.raises(Conflict, match="deleted"):
        await desk.of(connection_id="con_gone")


# -- other people's ----------------------------------------------------------------------------------------


async def test_another_users_connection_is_not_there() -> None:
    desk = Desk()
    await connect(desk, "alpha", "bobs", user="bob")
    for wanted in ("con_bobs", "con_nobodys"):
        with pytest.raises(NotFound) as refused:
            await desk.of(connection_id=wanted)
        assert refused.value.detail == f"There is no connection {wanted}."
    assert keys_for(await desk.of()) == ["platform"]


async def test_a_projects_connections_are_there_for_its_members_alone() -> None:
    desk = Desk()
    await connect(desk, "alpha", "olgas", user="olga")
    await found(desk, "p", owner="olga", members=("ann",))
    assert keys_for(await desk.of(project_id="p", connection_id="con_olgas")) == ["con_olgas"]
    with pytest.raises(NotFound):
        await desk.of(connection_id="con_olgas")
    bob = ann(user_id="bob")
    assert keys_for(await desk.of(bob)) == ["platform"]


async def test_whether_there_is_a_project_of_others_can_not_be_told() -> None:
    desk = Desk()
    await connect(desk, "alpha", "olgas", user="olga")
    await found(desk, "p", owner="olga")
    bob = ann(user_id="bob")
    assert await desk.of(bob, project_id="p") == await desk.of(bob, project_id="nobodys")


async def test_a_name_that_no_project_has_is_a_label() -> None:
    desk = Desk()
    await connect(desk, "alpha", "mine")
    assert keys_for(await desk.of(project_id="spring campaign")) == ["con_mine", "platform"]
    assert keys_for(await desk.of(ann(project_id="deleted since"))) == ["con_mine", "platform"]


async def test_a_project_may_name_a_members_connection_for_as_long_as_they_are_in_it() -> None:
    desk = Desk()
    await connect(desk, "alpha", "mias", user="mia")
    await connect(desk, "alpha", "olgas", user="olga")
    await found(desk, "p", owner="olga", members=("ann", "mia"))
    await say(desk, "project:p", connections={"text": "con_mias"}, connection_owners={"con_mias": "mia"})
    reach = await desk.of(project_id="p")
    assert keys_for(reach) == ["con_mias", "con_olgas", "platform"]
    assert reach.preferred == "alpha"
    assert keys_for(await desk.of(project_id="p", connection_id="con_mias")) == ["con_mias"]
    await found(desk, "p", owner="olga", members=("ann",))
    desk.clock.advance(60)
    assert keys_for(await desk.of(project_id="p")) == ["con_olgas", "platform"]


async def test_settings_can_not_reach_for_a_connection_of_someone_else() -> None:
    desk = Desk()
    await connect(desk, "alpha", "bobs", user="bob")
    await say(desk, "user:ann", connections={"text": "con_bobs"}, connection_owners={"con_bobs": "bob"})
    assert keys_for(await desk.of()) == ["platform"]


async def test_of_two_users_neither_ever_gets_the_others() -> None:
    desk = Desk()
    for user in ("ann", "bob"):
        await connect(desk, "alpha", user, user=user)
    callers = [ann(user_id=user) for user in ("ann", "bob", "eve") * 20]
    reached = await asyncio.gather(*(desk.of(caller) for caller in callers))
    for caller, reach in zip(callers, reached, strict=True):
        mine = [] if caller.user_id == "eve" else [f"con_{caller.user_id}"]
        assert keys_for(reach) == [*mine, "platform"]


async def test_what_serves_whatever_is_asked_for_is_told_without_any_wish() -> None:
    desk = Desk()
    for user in ("ann", "olga", "stan", "mia", "eve"):
        await connect(desk, "alpha", user, user=user)
        await connect(desk, "beta", f"{user}s-other", user=user)
    await found(desk, "p", owner="olga", settings_user_id="stan", members=("ann", "mia"))
    named = {"text": "con_mia", "embedding": "con_mia", "image": "con_eve", "tts": "con_olga"}
    owners = {"con_mia": "mia", "con_eve": "eve", "con_olga": "olga"}
    await say(desk, "project:p", connections=named, connection_owners=owners)
    await say(desk, "user:olga", connections={"text": "con_olgas-other"})
    of_people = ["stan", "stans-other", "olga", "olgas-other", "ann", "anns-other"]
    serving = await desk.reach.serving(ann(project_id="p"))
    assert [each.connection.name for each in serving] == ["mia", *of_people]
    assert serving[0].kinds == frozenset({"text", "embedding"})
    assert {each.kinds for each in serving[1:]} == {None}
    chat = (await desk.of(ann(project_id="p"))).serving
    assert [each.connection.name for each in chat] == ["mia", *of_people]
    picture = (await desk.of(ann(project_id="p"), modality="image")).serving
    assert [each.connection.name for each in picture] == of_people
    assert [each.connection.name for each in await desk.reach.serving(ann())] == ["ann", "anns-other"]
    assert await desk.reach.serving(ann(user_id="zoe")) == ()


async def test_who_is_in_no_project_is_looked_up_in_no_settings() -> None:
    desk = Desk()
    await connect(desk, "alpha", "mine")
    for _ in range(3):
        await desk.reach.serving(ann())
    assert (desk.connection_calls.calls, desk.account_calls.calls) == (["load"], [])


# -- what settings say -------------------------------------------------------------------------------------


async def test_levels_go_from_the_project_by_its_people_to_the_caller() -> None:
    desk = Desk()
    await found(desk, "p", owner="olga", settings_user_id="stan", members=("ann",))
    for owner in ("project:p", "user:stan", "user:olga", "user:ann"):
        await say(desk, owner, default_models={"text": f"alpha/{owner}"})
    reach = await desk.of(project_id="p")
    assert [(level.whose, level.model) for level in reach.levels] == [
        ("the project's", "alpha/project:p"),
        ("the project's settings user's", "alpha/user:stan"),
        ("the project owner's", "alpha/user:olga"),
        ("your", "alpha/user:ann"),
    ]


async def test_the_nearest_level_that_says_any_provider_decides_which_one_comes_first() -> None:
    desk = Desk()
    await found(desk, "p", owner="olga", members=("ann",))
    await say(desk, "user:olga", providers={"text": "beta"})
    await say(desk, "user:ann", providers={"text": "alpha"})
    assert (await desk.of(project_id="p")).preferred == "beta"
    assert (await desk.of()).preferred == "alpha"
    assert (await desk.of(modality="embedding")).preferred is None


# -- servers of one's own ----------------------------------------------------------------------------------


async def served(desk: Desk, name: str, *native_ids: str) -> None:
    row = await connect(desk, "custom", name, base_url=f"https://{name}.example")
    models: tuple[ModelInfo, ...] = tuple(model(f"custom/{each}") for each in native_ids)
    if native_ids:
        listed = ConnectionModels(
            connection_id=row.id, version="1", checked_at=desk.clock.now(), models=models
        )
        await desk.connections.write_list(row, listed)


async def with_lists(desk: Desk) -> Reach:
    """As a chat has it: with what the caller's view knows of lists."""
    reach = await desk.of()
    view = await desk.process().caller_catalog.view(ann(), serving=reach.serving)
    return replace(reach, lists=view.lists)


async def test_a_model_goes_to_the_server_whose_list_has_it() -> None:
    desk = Desk()
    await served(desk, "home", "llama", "qwen")
    await served(desk, "lab", "gemma", "qwen")
    reach = await with_lists(desk)
    assert keys_for(reach, "custom", "llama", platform=False) == ["con_home"]
    assert keys_for(reach, "custom", "gemma", platform=False) == ["con_lab"]
    assert keys_for(reach, "custom", "qwen", platform=False) == ["con_home", "con_lab"]


async def test_what_no_list_has_goes_to_the_default_server_unless_the_platforms_has_it() -> None:
    desk = Desk()
    await served(desk, "home", "llama")
    await served(desk, "lab", "gemma")
    reach = await with_lists(desk)
    unlisted = reach.credentials("custom", "brand-new", platform=False, listed=False)
    assert names(unlisted) == ["con_home"]
    assert keys_for(reach, "custom", "platforms-own") == ["platform"]


async def test_a_server_whose_list_nobody_has_read_is_asked() -> None:
    desk = Desk()
    await served(desk, "home")
    assert keys_for(await with_lists(desk), "custom", "llama") == ["con_home", "platform"]


async def test_of_what_no_list_has_every_server_is_asked_whose_list_nobody_has_read() -> None:
    desk = Desk()
    await served(desk, "home", "llama")
    await served(desk, "old")
    await served(desk, "new")
    reach = await with_lists(desk)
    assert set(keys_for(reach, "custom", "gemma", platform=False)) == {"con_old", "con_new"}
    assert keys_for(reach, "custom", "llama", platform=False) == ["con_home"]


async def test_a_list_that_was_never_read_well_is_none() -> None:
    desk = Desk()
    row = await connect(desk, "custom", "home", base_url="https://home.example")
    await sees(desk, row, error="provider_unavailable: no answer")
    assert (await with_lists(desk)).lists == {}
    await sees(desk, row)
    assert (await with_lists(desk)).lists == {row.id: frozenset()}


# -- memory ------------------------------------------------------------------------------------------------


async def test_a_user_is_read_once_a_minute_and_a_label_too() -> None:
    desk = Desk()
    await connect(desk, "alpha", "mine")
    for _ in range(5):
        await desk.of(project_id="label")
        desk.clock.advance(11)
    assert desk.connection_calls.calls == ["load"]
    assert sorted(desk.account_calls.calls) == ["get_project", "get_settings"]
    desk.clock.advance(6)
    await desk.of()
    assert desk.connection_calls.calls == ["load", "load"]


async def test_any_number_at_once_read_once() -> None:
    desk = Desk()
    await asyncio.gather(*(desk.of() for _ in range(50)))
    assert desk.connection_calls.calls == ["load"]


async def test_what_was_deleted_elsewhere_is_dead_within_a_minute() -> None:
    desk = Desk()
    row = await connect(desk, "alpha", "mine")
    assert keys_for(await desk.of()) == ["con_mine", "platform"]
    await delete(desk, row)
    desk.clock.advance(60)
    assert keys_for(await desk.of()) == ["platform"]


async def test_a_connection_that_was_just_made_or_restored_can_be_named_at_once() -> None:
    desk = Desk()
    first = await connect(desk, "alpha", "first")
    await desk.of()
    await connect(desk, "alpha", "new")
    assert keys_for(await desk.of(connection_id="con_new")) == ["con_new"]
    await change(desk, first, is_active=False)
    with pytest.raises(Conflict):
        await desk.service().of(ann(), connection_id="con_first")
    desk.reach.forget("ann")
    await desk.of()
    await change(desk, first, is_active=True)
    assert keys_for(await desk.of(connection_id="con_first")) == ["con_first"]


async def test_naming_what_is_not_there_costs_one_more_look() -> None:
    desk = Desk()
    for looks in (1, 2, 3):
        with pytest.raises(NotFound):
            await desk.of(connection_id="con_none")
        assert len(desk.connection_calls.calls) == looks


async def test_a_key_that_was_refused_is_looked_at_again_at_once() -> None:
    desk = Desk()
    row = await connect(desk, "alpha", "mine")
    await desk.of()
    await delete(desk, row)
    await desk.reach.note_attention(row, "refused")
    assert keys_for(await desk.of()) == ["platform"]


async def test_a_store_that_fails_is_forgiven_for_five_minutes_and_asked_again_every_two_seconds() -> None:
    desk = Desk()
    await connect(desk, "alpha", "mine")
    await desk.of()
    desk.connections.fault = DOWN
    desk.clock.advance(60)
    for _ in range(3):
        assert keys_for(await desk.of()) == ["con_mine", "platform"]
    assert desk.connection_calls.calls == ["load", "load"]
    desk.clock.advance(2)
    await desk.of()
    assert desk.connection_calls.calls == ["load"] * 3
    desk.clock.advance(timedelta(minutes=5).total_seconds())
    with pytest.raises(GatewayFault):
        await desk.of()
    desk.connections.fault = None
    assert keys_for(await desk.of()) == ["con_mine", "platform"]


@pytest.mark.parametrize("store", ["connections", "accounts"])
async def test_with_nothing_in_memory_a_store_that_fails_is_no_reason_to_let_the_platform_pay(
    store: str,
) -> None:
    desk = Desk()
    getattr(desk, store).fault = DOWN
    with pytest.raises(GatewayFault) as refused:
        await desk.of()
    assert refused.value.http_status == 503
    getattr(desk, store).fault = None
    assert keys_for(await desk.of()) == ["platform"]


async def test_who_leaves_while_it_is_read_takes_nothing_from_those_who_stay() -> None:
    desk = Desk()
    await connect(desk, "alpha", "mine")
    leaving, staying = (asyncio.create_task(desk.of()) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert keys_for(await staying) == ["con_mine", "platform"]


# -- marking -----------------------------------------------------------------------------------------------


async def test_a_mark_is_written_once_and_taken_away_once() -> None:
    desk = Desk()
    row = await connect(desk, "alpha", "mine")
    await desk.reach.note_attention(row, "refused")
    (marked,) = (await desk.of()).owned
    assert marked.connection.needs_attention == "refused"
    await desk.reach.note_attention(marked.connection, "refused")
    assert desk.connection_calls.calls.count("note_attention") == 1
    await desk.reach.note_attention(marked.connection, None)
    (clear,) = (await desk.of()).owned
    assert clear.connection.needs_attention is None
    await desk.reach.note_attention(clear.connection, None)
    assert desk.connection_calls.calls.count("note_attention") == 2


async def test_a_mark_does_not_land_on_a_key_that_was_changed_meanwhile() -> None:
    desk = Desk()
    row = await connect(desk, "alpha", "mine")
    await change(desk, row, sealed=b"another")
    await desk.reach.note_attention(row, "refused")
    (now,) = (await desk.of()).owned
    assert now.connection.needs_attention is None


async def test_a_mark_that_can_not_be_written_is_only_logged() -> None:
    desk = Desk()
    row = await connect(desk, "alpha", "mine")
    desk.connections.fault = DOWN
    await desk.reach.note_attention(row, "refused")
    assert desk.log.named("connection.not_marked")


# -- secrets -----------------------------------------------------------------------------------------------


async def test_no_key_is_in_what_a_reach_shows_of_itself() -> None:
    desk = Desk()
    await connect(desk, "alpha", "mine")
    reach = await desk.of(lent=lent(beta="sk-lent-987654321"))
    (credential,) = reach.credentials("beta", "m", platform=True, listed=True)
    shown = f"{reach!r} {credential!r} {credential.name} {reach.words(credential)}"
    assert "987654321" not in shown
    assert "sealed" not in shown
