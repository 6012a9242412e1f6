"""A refresh keeps the last good list, is done once however many start it, and tells what changed."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from headgate.bootstrap import Container
from headgate.domain.catalog import ModelInfo
from headgate.domain.errors import GatewayFault, HeadgateError, ProviderFailed
from headgate.ports import WireRequest
from headgate.testing.clock import START
from headgate.testing.memory import Answer, ManualClock, MemoryCatalogStore
from headgate.testing.transport import Step
from tests.support.bench import KEY, Bench, Counted
from tests.support.models import model, priced
from tests.support.provider import CRASH, listing

A1 = model("alpha/one", pricing=priced("1", "2"))
A2 = model("alpha/two")
B1 = model("beta/one")


class Plant(Bench):
    """A refresh process over two fake providers whose lists can be set."""

    def __init__(self) -> None:
        super().__init__("alpha", "beta")
        self.lists(alpha=listing(A1, A2), beta=listing(B1))
        self.one = self.process("refresh")

    def lists(self, **answers: Step | Sequence[Step]) -> None:
        """What the providers answer from now on: in turn, and the last whenever they are asked again."""
        for slug, answer in answers.items():
            steps = answer if isinstance(answer, Sequence) else [answer]
            self.transport.on(f"https://{slug}.example/models", *steps)

    def late_list(self, slug: str, *models: ModelInfo) -> tuple[asyncio.Event, asyncio.Event]:
        """Whether the provider was asked, and the leave to answer."""
        asked, answered = asyncio.Event(), asyncio.Event()

        def answer(_request: WireRequest) -> Answer:
            asked.set()
            return Answer(pieces=[answered, listing(*models).body])

        self.lists(**{slug: answer})
        return asked, answered

    async def refresh(
        self, *providers: str, force: bool = False, process: Container | None = None
    ) -> dict[str, str]:
        """Outcome by provider."""
        refresher = (process or self.one).refresher
        outcomes = await refresher.refresh(providers or None, force=force)
        return {outcome.provider: outcome.outcome for outcome in outcomes}

    async def models(self, slug: str) -> tuple[ModelInfo, ...]:
        return await self.catalog_store.read_models(await self.head(slug))

    def asked(self, slug: str) -> int:
        return sum(request.url.startswith(f"https://{slug}.example") for request in self.transport.requests)


# -- what is kept ------------------------------------------------------------------------------------------


async def test_every_configured_provider_is_read_and_its_list_kept() -> None:
    plant = Plant()
    assert await plant.refresh() == {"alpha": "updated", "beta": "updated"}
    assert await plant.models("alpha") == (A1, A2)
    head = await plant.head("alpha")
    assert (head.model_count, head.dropped, head.partial, head.error) == (2, 0, False, None)
    assert head.fetched_at == head.checked_at == START
    assert head.fresh_until == START + timedelta(minutes=10)
    assert head.stale_until == START + timedelta(hours=24)
    assert head.fetch_ms is not None


async def test_providers_without_a_key_are_not_asked() -> None:
    plant = Plant()
    plant.secrets.remove("beta")
    assert await plant.refresh() == {"alpha": "updated"}
    assert plant.asked("beta") == 0


async def test_the_times_are_settings() -> None:
    plant = Plant()
    quick = plant.process("refresh", HEADGATE_LIST_TTL_S="60", HEADGATE_STALE_TTL_S="3600")
    await plant.refresh(process=quick)
    head = await plant.head("alpha")
    assert head.fresh_until == START + timedelta(seconds=60)
    assert head.stale_until == START + timedelta(seconds=3600)


async def test_a_fresh_list_is_left_alone_unless_forced() -> None:
    plant = Plant()
    await plant.refresh()
    assert await plant.refresh() == {"alpha": "fresh", "beta": "fresh"}
    assert plant.asked("alpha") == 1
    assert await plant.refresh(force=True) == {"alpha": "unchanged", "beta": "unchanged"}
    assert plant.asked("alpha") == 2


async def test_a_run_that_used_the_platforms_keys_is_told_once_and_one_that_did_not_is_not() -> None:
    plant = Plant()
    await plant.refresh()
    await plant.refresh()
    (told,) = await plant.accounts.read_audit(after=None, limit=5)
    assert (told.actor, told.action, told.target) == ("refresh", "catalog.refresh", "catalog")
    assert told.details == {"alpha": "updated", "beta": "updated"}


async def test_lists_count_though_the_audit_log_is_away() -> None:
    plant = Plant()
    plant.accounts.fault = GatewayFault.unavailable("The table")
    assert await plant.refresh() == {"alpha": "updated", "beta": "updated"}
    assert (await plant.head("alpha")).model_count
    (event,) = plant.log.named("looks.untold")
    assert event.fields["looks"] == {"alpha": "updated", "beta": "updated"}


async def test_keys_that_were_used_are_told_wherever_the_catalogues_table_fails() -> None:
    for faults_after in range(30):
        plant = Plant()
        await plant.refresh("alpha")
        plant.secrets.remove("alpha")
        plant.clock.advance(1)
        plant.catalog_store.fault = GatewayFault.unavailable("The table")
        plant.catalog_store.faults_after = faults_after
        with suppress(GatewayFault):
            await plant.refresh(process=plant.process("refresh"))
        _, *told = await plant.accounts.read_audit(after=None, limit=5)
        if plant.asked("beta"):
            assert [set(event.details) for event in told] == [{"beta"}]


async def test_only_the_named_providers_are_refreshed() -> None:
    plant = Plant()
    assert await plant.refresh("beta", "unheard-of") == {"beta": "updated"}
    assert plant.asked("alpha") == 0


async def test_unchanged_content_keeps_the_version_and_moves_the_times() -> None:
    plant = Plant()
    await plant.refresh()
    before = await plant.head("alpha")
    plant.clock.advance(601)
    plant.lists(alpha=listing(A2, A1))
    assert (await plant.refresh())["alpha"] == "unchanged"
    after = await plant.head("alpha")
    assert after.version == before.version
    assert after.chunks == before.chunks
    assert after.fetched_at == plant.clock.now()
    assert after.is_fresh(plant.clock.now())
    assert await plant.models("alpha") == (A1, A2)


async def test_a_list_whose_pieces_are_gone_is_written_again_though_nothing_changed() -> None:
    plant = Plant()
    await plant.refresh()
    plant.catalog_store.lose_pieces("alpha")
    plant.clock.advance(601)
    assert (await plant.refresh())["alpha"] == "updated"
    assert await plant.models("alpha") == (A1, A2)


async def test_pages_are_one_list_with_each_id_once() -> None:
    plant = Plant()
    plant.lists(alpha=[listing(A1, next_page="2"), listing(A2, replace(A1, name="x"))])
    await plant.refresh("alpha")
    assert await plant.models("alpha") == (A1, A2)


async def test_what_could_not_be_read_is_counted_and_the_rest_kept() -> None:
    plant = Plant()
    plant.lists(alpha=listing(A1, dropped=("x: no id", "y: no id")))
    (outcome,) = await plant.one.refresher.refresh(["alpha"], force=False)
    assert (outcome.outcome, outcome.model_count, outcome.dropped) == ("updated", 1, 2)
    head = await plant.head("alpha")
    assert (head.dropped, head.warnings) == (2, ("x: no id", "y: no id"))


async def test_a_list_without_end_is_kept_as_partial() -> None:
    plant = Plant()
    pages = [listing(model(f"alpha/{n:03}"), next_page=str(n)) for n in range(101)]
    plant.lists(alpha=pages)
    await plant.refresh("alpha")
    head = await plant.head("alpha")
    assert head.partial
    assert head.model_count == 100


async def test_a_provider_that_is_no_longer_configured_is_dropped() -> None:
    plant = Plant()
    await plant.refresh()
    plant.secrets.remove("beta")
    plant.clock.advance(301)
    assert await plant.refresh() == {"alpha": "fresh", "beta": "removed"}
    assert set(await plant.catalog_store.read_heads()) == {"alpha"}


# -- failures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(status=401, body=b"bad key"), "provider_auth"),
        (Answer(status=500), "provider_unavailable"),
        (ProviderFailed("no answer", code="provider_timeout"), "provider_timeout"),
        (listing(), "provider_protocol"),
        (listing(dropped=("x: no id",)), "provider_protocol"),
        (CRASH, "internal"),
    ],
)
async def test_a_failure_keeps_the_last_good_list_and_says_why(
    answer: Answer | HeadgateError, code: str
) -> None:
    plant = Plant()
    await plant.refresh()
    before = await plant.head("alpha")
    plant.clock.advance(601)
    plant.lists(alpha=answer)
    assert await plant.refresh() == {"alpha": "failed", "beta": "unchanged"}
    after = await plant.head("alpha")
    assert after.error is not None
    assert after.error.startswith(code)
    assert after.checked_at == plant.clock.now()
    assert after == replace(before, error=after.error, checked_at=after.checked_at)
    assert await plant.models("alpha") == (A1, A2)


async def test_a_failure_is_forgotten_with_the_next_good_list() -> None:
    plant = Plant()
    await plant.refresh()
    plant.lists(alpha=Answer(status=500))
    await plant.refresh(force=True)
    plant.lists(alpha=listing(A1, A2))
    await plant.refresh(force=True)
    assert (await plant.head("alpha")).error is None


async def test_a_provider_that_never_answered_has_a_head_that_says_so() -> None:
    plant = Plant()
    plant.lists(alpha=Answer(status=401, body=b"bad key"))
    await plant.refresh()
    head = await plant.head("alpha")
    assert (head.version, head.model_count) == (None, 0)
    assert head.error == "provider_auth: bad key"
    plant.lists(alpha=listing(A1))
    assert (await plant.refresh())["alpha"] == "updated"
    assert await plant.changes() == []


async def test_an_empty_list_is_fine_where_there_was_none_before() -> None:
    plant = Plant()
    plant.lists(alpha=listing())
    assert (await plant.refresh())["alpha"] == "updated"
    head = await plant.head("alpha")
    assert (head.model_count, head.error) == (0, None)


async def test_a_crash_in_one_plugin_is_logged_without_its_words_and_harms_no_other() -> None:
    plant = Plant()
    plant.lists(alpha=CRASH)
    assert await plant.refresh() == {"alpha": "failed", "beta": "updated"}
    (entry,) = plant.log.named("provider.crashed")
    assert entry.fields == {"provider": "alpha", "error": "RuntimeError"}


async def test_no_key_is_in_what_is_kept_or_logged_of_a_failure() -> None:
    plant = Plant()
    plant.lists(alpha=Answer(status=401, body=f"Incorrect key {KEY}".encode()))
    await plant.refresh()
    assert KEY not in str(await plant.head("alpha"))
    assert KEY not in str([entry.fields for entry in plant.log.entries])


async def test_each_outcome_is_logged_once() -> None:
    plant = Plant()
    plant.lists(beta=Answer(status=500, body=b"sorry"))
    await plant.refresh()
    told = {entry.fields["provider"]: entry.fields for entry in plant.log.named("catalog.refreshed")}
    assert told["alpha"]["outcome"] == "updated"
    assert told["alpha"]["model_count"] == 2
    assert told["beta"]["error"] == "provider_unavailable: sorry"
    assert len(plant.log.named("catalog.refreshed")) == 2


class HalfStore(MemoryCatalogStore):
    """Takes one provider's lists no more."""

    async def acquire_lease(self, name: str, owner: str, ttl_s: float) -> bool:
        if name.endswith("alpha"):
            raise GatewayFault.unavailable("The table")
        return await super().acquire_lease(name, owner, ttl_s)


async def test_a_fault_of_the_store_for_one_leaves_the_others_alone() -> None:
    plant = Plant()
    plant.catalog_store = HalfStore(plant.clock)
    plant.catalog_calls = Counted(plant.catalog_store)
    outcomes = await plant.refresh(process=plant.process("refresh"))
    assert outcomes == {"alpha": "failed", "beta": "updated"}


# -- one at a time -----------------------------------------------------------------------------------------


async def test_of_two_at_once_one_asks_the_provider_and_the_other_moves_on() -> None:
    plant = Plant()
    asked, answered = plant.late_list("alpha", A1)
    two = plant.process("refresh")
    first = asyncio.create_task(plant.refresh("alpha"))
    await asked.wait()
    assert await plant.refresh("alpha", process=two) == {"alpha": "busy"}
    answered.set()
    assert await first == {"alpha": "updated"}
    assert plant.asked("alpha") == 1


async def test_two_at_once_leave_one_list_and_one_set_of_events() -> None:
    plant = Plant()
    await plant.refresh()
    plant.lists(alpha=listing(A1), beta=listing(B1, model("beta/two")))
    plant.clock.advance(601)
    two = plant.process("refresh")
    await asyncio.gather(plant.refresh(), plant.refresh(process=two))
    assert sorted(await plant.changes()) == [
        ("model.added", "beta", "beta/two"),
        ("model.removed", "alpha", "alpha/two"),
    ]
    assert plant.asked("alpha") == plant.asked("beta") == 2


class LateStore(MemoryCatalogStore):
    """The first to ask for a lease waits for it until `go`."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def acquire_lease(self, name: str, owner: str, ttl_s: float) -> bool:
        if not self.asked.is_set():
            self.asked.set()
            await self.go.wait()
        return await super().acquire_lease(name, owner, ttl_s)


async def test_who_comes_to_the_lease_just_after_another_finds_the_list_fresh() -> None:
    plant = Plant()
    store = LateStore(plant.clock)
    plant.catalog_store, plant.catalog_calls = store, Counted(store)
    one, two = plant.process("refresh"), plant.process("refresh")
    late = asyncio.create_task(plant.refresh("alpha", process=two))
    await store.asked.wait()
    assert await plant.refresh("alpha", process=one) == {"alpha": "updated"}
    store.go.set()
    assert await late == {"alpha": "fresh"}
    assert plant.asked("alpha") == 1


async def test_a_refresher_that_died_holds_nobody_up_for_long() -> None:
    plant = Plant()
    await plant.catalog_store.acquire_lease("refresh#alpha", "the-dead-one", 120)
    assert await plant.refresh("alpha") == {"alpha": "busy"}
    plant.clock.advance(120)
    assert await plant.refresh("alpha") == {"alpha": "updated"}


async def test_the_lease_is_given_up_after_a_failure() -> None:
    plant = Plant()
    plant.lists(alpha=CRASH)
    await plant.refresh("alpha")
    plant.lists(alpha=listing(A1))
    assert await plant.refresh("alpha") == {"alpha": "updated"}


async def test_who_lost_the_race_of_writing_says_busy_and_tells_no_change() -> None:
    plant = Plant()
    await plant.refresh()
    asked, answered = plant.late_list("alpha", A1)
    late = asyncio.create_task(plant.refresh("alpha", force=True))
    await asked.wait()
    plant.clock.advance(121)
    await plant.publish("alpha", A2)
    answered.set()
    assert await late == {"alpha": "busy"}
    assert await plant.models("alpha") == (A2,)
    assert await plant.changes() == []


# -- what changed ------------------------------------------------------------------------------------------


async def test_a_first_list_is_no_change() -> None:
    plant = Plant()
    await plant.refresh()
    assert await plant.changes() == []


async def test_changes_between_two_lists_become_events() -> None:
    plant = Plant()
    await plant.refresh()
    plant.clock.advance(601)
    dearer = replace(A1, pricing=priced("1.5", "2"), expires_at=START + timedelta(days=30))
    plant.lists(alpha=listing(dearer, model("alpha/three")))
    await plant.refresh()
    assert sorted(await plant.changes()) == [
        ("model.added", "alpha", "alpha/three"),
        ("model.deprecated", "alpha", "alpha/one"),
        ("model.removed", "alpha", "alpha/two"),
        ("model.repriced", "alpha", "alpha/one"),
    ]
    events = await plant.catalog_store.read_changes(after=None, limit=100)
    assert {event.at for event in events} == {plant.clock.now()}
    (repriced,) = (event for event in events if event.type == "model.repriced")
    assert repriced.before == {"input": "1", "output": "2"}
    assert repriced.after == {"input": "1.5", "output": "2"}


async def test_a_list_that_comes_back_after_a_failure_is_compared_with_the_last_good_one() -> None:
    plant = Plant()
    await plant.refresh()
    plant.lists(alpha=Answer(status=500))
    await plant.refresh(force=True)
    plant.lists(alpha=listing(A1))
    await plant.refresh(force=True)
    assert await plant.changes() == [("model.removed", "alpha", "alpha/two")]
