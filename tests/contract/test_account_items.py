"""What services may rely on of projects, settings, overrides, flags, the audit log and idempotency keys."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from headgate.domain.accounts import Flag, ModelOverride, Project, ProviderSettings
from headgate.domain.admission import Answer
from headgate.domain.audit import AuditEvent
from headgate.domain.catalog import Modality, Pricing
from headgate.domain.errors import Conflict, InvalidRequest
from headgate.ports import AccountStore, Begun
from headgate.testing.memory import ManualClock
from tests.contract.values import NOON, audit

PROJECT = Project(
    id="film:1",
    owner_user_id="ada",
    settings_user_id="grace",
    members=("bob", "Ünïcode"),
    created_at=NOON,
    updated_at=NOON + timedelta(microseconds=5),
)
SETTINGS = ProviderSettings(
    default_models={"text": "openai/gpt-5"},
    providers={"image": "fal"},
    connections={"text": "con_1"},
    connection_owners={"con_1": "ada"},
    flags={"beta": True},
)
OVERRIDE = ModelOverride(
    model_id="openrouter/openai/gpt-5:free",
    enabled=False,
    modality=Modality.IMAGE,
    price=Pricing(input=Decimal("0.150"), source="override"),
    note="dear",
    updated_at=NOON,
    updated_by="key_root",
)
FLAG = Flag(
    name="use_provider_registry",
    schema={"default": True, "rules": {"a": {"when_match": False, "conditions": [{"value": [1, "x"]}]}}},
    updated_at=NOON,
    updated_by="key_root",
)


async def audited(accounts: AccountStore) -> list[AuditEvent]:
    return await accounts.read_audit(after=None, limit=1000)


# -- projects, settings, overrides, flags ------------------------------------------------------------------


async def test_nothing_is_there_before_it_was_put(accounts: AccountStore) -> None:
    assert await accounts.get_project("none") is None
    assert await accounts.get_project("x" * 4000) is None
    assert await accounts.get_settings("user:ada") is None
    assert await accounts.read_overrides() == {}
    assert await accounts.read_flags() == {}
    assert await audited(accounts) == []


async def test_a_project_is_kept_as_it_was_replaced_and_deleted(accounts: AccountStore) -> None:
    await accounts.put_project(PROJECT, audit(1))
    assert await accounts.get_project("film:1") == PROJECT
    changed = replace(PROJECT, members=(), settings_user_id=None)
    await accounts.put_project(changed, audit(2))
    assert await accounts.get_project("film:1") == changed
    assert await accounts.delete_project("film:1", audit(3))
    assert await accounts.get_project("film:1") is None
    assert await audited(accounts) == [audit(1), audit(2), audit(3)]


async def test_settings_are_each_owners_own(accounts: AccountStore) -> None:
    await accounts.put_settings("user:ada", SETTINGS, audit(1))
    await accounts.put_settings("project:ada", ProviderSettings(), audit(2))
    assert await accounts.get_settings("user:ada") == SETTINGS
    assert await accounts.get_settings("project:ada") == ProviderSettings()
    assert await accounts.get_settings("user:grace") is None


async def test_a_projects_settings_go_with_it(accounts: AccountStore) -> None:
    await accounts.put_project(PROJECT, audit(1))
    await accounts.put_settings("project:film:1", SETTINGS, audit(2))
    await accounts.put_settings("user:ada", SETTINGS, audit(3))
    assert await accounts.delete_project(PROJECT.id, audit(4))
    assert (await accounts.get_settings("project:film:1") or ProviderSettings()) == ProviderSettings()
    assert await accounts.get_settings("user:ada") == SETTINGS
    await accounts.put_settings("project:film:1", SETTINGS, audit(5))
    assert await accounts.delete_project(PROJECT.id, audit(4))  # sent again
    assert await accounts.get_settings("project:film:1") == SETTINGS


async def test_overrides_are_read_together(accounts: AccountStore) -> None:
    other = replace(OVERRIDE, model_id="fal/flux", modality=None, price=None)
    await accounts.put_override(OVERRIDE, audit(1), was=None)
    await accounts.put_override(other, audit(2), was=None)
    assert await accounts.read_overrides() == {OVERRIDE.model_id: OVERRIDE, "fal/flux": other}
    assert await accounts.delete_override("fal/flux", audit(3))
    assert await accounts.read_overrides() == {OVERRIDE.model_id: OVERRIDE}


async def test_an_override_is_replaced_only_over_what_was_read(accounts: AccountStore) -> None:
    dearer = replace(OVERRIDE, note="dearer")
    await accounts.put_override(OVERRIDE, audit(1), was=None)
    await accounts.put_override(dearer, audit(2), was=OVERRIDE)
    for number, stale in ((3, None), (4, OVERRIDE)):
        with pytest.raises(Conflict):
            await accounts.put_override(replace(OVERRIDE, note="late"), audit(number), was=stale)
    assert await accounts.read_overrides() == {OVERRIDE.model_id: dearer}
    assert await accounts.delete_override(OVERRIDE.model_id, audit(5))
    with pytest.raises(Conflict):
        await accounts.put_override(OVERRIDE, audit(6), was=dearer)
    assert await audited(accounts) == [audit(1), audit(2), audit(5)]


@pytest.mark.parametrize("was", [None, OVERRIDE], ids=["new", "known"])
async def test_of_overrides_put_at_once_over_the_same_one_is_stored(
    accounts: AccountStore, was: ModelOverride | None
) -> None:
    if was is not None:
        await accounts.put_override(was, audit(1), was=None)
    wanted = [replace(OVERRIDE, note=str(number)) for number in range(2, 6)]
    done = await asyncio.gather(
        *(accounts.put_override(each, audit(number), was=was) for number, each in enumerate(wanted, start=2)),
        return_exceptions=True,
    )
    (stored,) = (each for each, outcome in zip(wanted, done, strict=True) if outcome is None)
    assert sum(isinstance(outcome, Conflict) for outcome in done) == 3
    assert await accounts.read_overrides() == {OVERRIDE.model_id: stored}
    assert len(await audited(accounts)) == (1 if was is None else 2)


async def test_flags_are_read_together_and_replaced(accounts: AccountStore) -> None:
    other = replace(FLAG, name="b", schema={"default": False})
    await accounts.put_flag(FLAG, audit(1))
    await accounts.put_flag(replace(other, schema={"default": True}), audit(2))
    await accounts.put_flag(other, audit(3))
    assert await accounts.read_flags() == {FLAG.name: FLAG, "b": other}


async def test_deleting_what_is_not_there_does_nothing_and_says_so(accounts: AccountStore) -> None:
    assert not await accounts.delete_project("film:1", audit(1))
    assert not await accounts.delete_override("fal/flux", audit(2))
    assert await audited(accounts) == []


async def test_a_change_that_is_sent_again_is_made_once(accounts: AccountStore) -> None:
    await accounts.put_project(PROJECT, audit(1))
    await accounts.put_settings("user:ada", SETTINGS, audit(2))
    await accounts.put_override(OVERRIDE, audit(3), was=None)
    await accounts.put_flag(FLAG, audit(4))
    assert await accounts.delete_project(PROJECT.id, audit(5))
    assert await accounts.delete_override(OVERRIDE.model_id, audit(6))
    later = ProviderSettings(flags={"later": True})
    await accounts.put_settings("user:ada", later, audit(7))
    await accounts.put_flag(replace(FLAG, schema={"default": False}), audit(8))

    await accounts.put_project(PROJECT, audit(1))
    await accounts.put_settings("user:ada", SETTINGS, audit(2))
    await accounts.put_override(OVERRIDE, audit(3), was=None)
    await accounts.put_flag(FLAG, audit(4))
    assert await accounts.delete_project(PROJECT.id, audit(5))
    assert await accounts.delete_override(OVERRIDE.model_id, audit(6))

    assert await accounts.get_project(PROJECT.id) is None
    assert await accounts.get_settings("user:ada") == later
    assert await accounts.read_overrides() == {}
    assert (await accounts.read_flags())[FLAG.name].schema == {"default": False}
    assert await audited(accounts) == [audit(number) for number in range(1, 9)]


async def test_of_deletions_at_once_one_finds_something(accounts: AccountStore) -> None:
    await accounts.put_project(PROJECT, audit(1))
    found = await asyncio.gather(*(accounts.delete_project(PROJECT.id, audit(n)) for n in range(2, 6)))
    assert sorted(found) == [False, False, False, True]
    assert len(await audited(accounts)) == 2


# -- the audit log -----------------------------------------------------------------------------------------


async def test_events_are_kept_as_they_were(accounts: AccountStore) -> None:
    event = audit(1, user_id="ada", request_id="req_1", details={"name": "Ünïcode"})
    await accounts.append_audit([event])
    assert await audited(accounts) == [event]


async def test_an_event_is_never_altered(accounts: AccountStore) -> None:
    await accounts.append_audit([audit(1)])
    await accounts.append_audit([audit(1, target="another"), audit(2)])
    assert await audited(accounts) == [audit(1), audit(2)]


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
async def test_events_of_days_far_apart_come_oldest_first_each_once(
    accounts: AccountStore, limit: int
) -> None:
    days = [NOON + timedelta(days=day) for day in (-700, -1, 0, 1, 40)]
    events = [audit(number, at=day) for day in days for number in (1, 2)]
    await accounts.append_audit(events[::-1])
    seen: list[AuditEvent] = []
    after: str | None = None
    while page := await accounts.read_audit(after=after, limit=limit):
        assert len(page) <= limit
        seen += page
        after = page[-1].id
    assert seen == events


async def test_events_are_found_after_one_that_was_never_there(accounts: AccountStore) -> None:
    await accounts.append_audit([audit(1), audit(5), audit(1, at=NOON + timedelta(days=3))])
    found = await accounts.read_audit(after=audit(3).id, limit=9)
    assert [event.target for event in found] == ["thing 5", "thing 1"]
    between = audit(9, at=NOON + timedelta(days=2)).id
    assert len(await accounts.read_audit(after=between, limit=9)) == 1
    assert await accounts.read_audit(after=audit(1, at=NOON + timedelta(days=99)).id, limit=9) == []


@pytest.mark.parametrize(
    "after",
    [
        *("", "evt_1", "evt_" + "z" * 26, "evt_" + "\N{SNOWMAN}" * 26),
        *("key_" + "0" * 26, "EVT_" + "0" * 26, "0" * 26, "evt_" + "0" * 16 + "\N{SNOWMAN}" * 10),
        *("evt_" + "A" * 26, "evt_" + "0" * 25 + "\n", "x" * 1_100 + "_" + "0" * 26),
    ],
    ids=range(11),
)
async def test_what_is_no_id_of_an_event_is_refused(accounts: AccountStore, after: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await accounts.read_audit(after=after, limit=1)
    assert [error.field for error in refused.value.errors] == ["after"]


# -- idempotency keys --------------------------------------------------------------------------------------


def begun(seed: str, ends: datetime, *, answer: Answer | None = None) -> Begun:
    return Begun(fingerprint="f" + seed, seed=seed, expires_at=ends, answer=answer)


async def test_the_first_to_begin_stays(accounts: AccountStore, clock: ManualClock) -> None:
    ends = clock.now() + timedelta(hours=24)
    first = begun("aa", ends)
    assert await accounts.begin_once("name", first) == first
    assert await accounts.begin_once("name", begun("bb", ends)) == first
    other = begun("cc", ends)
    assert await accounts.begin_once("another", other) == other


async def test_of_many_at_once_all_get_the_same(accounts: AccountStore, clock: ManualClock) -> None:
    ends = clock.now() + timedelta(hours=24)
    got = await asyncio.gather(*(accounts.begin_once("name", begun(f"{n}", ends)) for n in range(8)))
    assert len({one.seed for one in got}) == 1


async def test_an_answer_is_kept_byte_for_byte(accounts: AccountStore, clock: ManualClock) -> None:
    ends = clock.now() + timedelta(hours=24)
    answer = Answer(
        status=201,
        headers=(("location", "/x"), ("a", "b"), ("a", "c")),
        body=bytes(range(256)),
        expires_at=ends,
    )
    await accounts.begin_once("name", begun("aa", ends))
    await accounts.finish_once("name", begun("aa", ends, answer=answer))
    assert (await accounts.begin_once("name", begun("bb", ends))).answer == answer


async def test_after_its_end_a_key_is_free_and_the_late_answer_is_not_kept(
    accounts: AccountStore, clock: ManualClock
) -> None:
    ends = clock.now() + timedelta(hours=24)
    await accounts.begin_once("name", begun("aa", ends))
    clock.advance(24 * 3600)
    again = begun("bb", clock.now() + timedelta(hours=24))
    assert await accounts.begin_once("name", again) == again
    late = Answer(status=200, headers=(), body=b"late", expires_at=ends)
    await accounts.finish_once("name", begun("aa", ends, answer=late))
    assert await accounts.begin_once("name", begun("cc", again.expires_at)) == again
