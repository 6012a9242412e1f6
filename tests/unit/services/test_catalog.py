"""A process looks at the heads once a minute, reads what changed, and serves from memory what it has."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from headgate.domain.catalog import ModelInfo, ProviderStatus, SnapshotHead
from headgate.domain.errors import GatewayFault
from headgate.domain.health import ProviderHealth
from headgate.services.catalog import Catalog, CatalogView, pins_of
from headgate.testing.memory import ManualClock, MemoryCatalogStore, MemoryRefreshStarter
from tests.support.bench import Bench, Counted
from tests.support.models import model

GPT = model("openai/gpt-5", canonical_id="openai/gpt-5")
OPUS = model("anthropic/opus", canonical_id="anthropic/opus")
ROUTED = model("openrouter/openai/gpt-5")
DOWN = GatewayFault.unavailable("The table")


class HoleyStore(MemoryCatalogStore):
    """Pieces of some providers' lists are missing; or nothing is said at all, while it `hangs`."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.missing: set[str] = set()
        self.hangs = False

    async def read_heads(self) -> Mapping[str, SnapshotHead]:
        if self.hangs:
            await asyncio.Event().wait()
        return await super().read_heads()

    async def read_models(self, head: SnapshotHead) -> tuple[ModelInfo, ...]:
        if head.provider in self.missing:
            raise GatewayFault.unavailable("The list of " + head.provider)
        return await super().read_models(head)


class Shelf(Bench):
    """A catalogue of one process, over a store that counts its reads."""

    def __init__(self, *, starter: MemoryRefreshStarter | None = None, head_check_s: float = 60.0) -> None:
        super().__init__()
        self.catalog_store: HoleyStore = HoleyStore(self.clock)
        self.catalog_calls = Counted(self.catalog_store)
        self.catalog = Catalog(
            self.adapters.catalog,
            self.clock,
            self.log,
            head_check_s=head_check_s,
            starter=starter,
            patience_s=0.01,
            start_s=0.1,
        )

    def break_list(self, slug: str) -> None:
        self.catalog_store.missing.add(slug)

    def mend_list(self, slug: str) -> None:
        self.catalog_store.missing.discard(slug)

    @property
    def reads(self) -> tuple[int, int]:
        """Of heads, of lists."""
        calls = self.catalog_calls.calls
        return calls.count("read_heads"), calls.count("read_models")

    async def ids(self) -> list[str]:
        return [each.id for each in (await self.catalog.view()).models]

    async def later(self, seconds: float) -> CatalogView:
        self.clock.advance(seconds)
        return await self.catalog.view()


async def shelf_with(*models: ModelInfo) -> Shelf:
    shelf = Shelf()
    for slug in sorted({each.provider for each in models}):
        await shelf.publish(slug, *(each for each in models if each.provider == slug))
    return shelf


# -- reading -----------------------------------------------------------------------------------------------


async def test_all_lists_are_one_sorted_by_id() -> None:
    shelf = await shelf_with(ROUTED, GPT, OPUS)
    assert await shelf.ids() == [OPUS.id, GPT.id, ROUTED.id]


async def test_heads_are_looked_at_once_a_minute_however_much_is_asked() -> None:
    shelf = await shelf_with(GPT)
    for _ in range(600):
        await shelf.later(0.1)
    assert shelf.reads[0] == 1
    await shelf.later(1)
    assert shelf.reads[0] == 2


async def test_only_what_changed_is_read_again() -> None:
    shelf = await shelf_with(GPT, OPUS)
    await shelf.catalog.view()
    assert shelf.reads == (1, 2)
    await shelf.later(60)
    assert shelf.reads == (2, 2)
    await shelf.publish("openai", GPT, model("openai/gpt-6"))
    await shelf.later(60)
    assert shelf.reads == (3, 3)
    assert await shelf.ids() == [OPUS.id, GPT.id, "openai/gpt-6"]


async def test_a_provider_that_is_gone_takes_its_models_along() -> None:
    shelf = await shelf_with(GPT, OPUS)
    await shelf.catalog.view()
    await shelf.catalog_store.delete_provider("openai")
    await shelf.later(60)
    assert await shelf.ids() == [OPUS.id]


async def test_offers_are_found_by_id_canonical_id_and_bare_name() -> None:
    view = await (await shelf_with(GPT, ROUTED)).catalog.view()
    assert view.by_id[ROUTED.id] == ROUTED
    assert view.by_canonical["openai/gpt-5"] == (GPT, ROUTED)
    assert view.by_bare_name["gpt-5"] == {"openai/gpt-5"}


# -- staying the same --------------------------------------------------------------------------------------


async def test_the_view_is_the_very_same_while_nothing_changed() -> None:
    shelf = await shelf_with(GPT)
    first = await shelf.catalog.view()
    assert await shelf.later(60) is first
    assert await shelf.later(60) is first


async def test_a_view_that_differs_in_anything_is_another_one() -> None:
    shelf = await shelf_with(GPT)
    serials = {(await shelf.catalog.view()).serial}
    await shelf.catalog_store.write_health(
        ProviderHealth(
            provider="openai", status=ProviderStatus.DEGRADED, last_checked=shelf.clock.now(), error="slow"
        )
    )
    serials.add((await shelf.later(60)).serial)
    await shelf.publish("openai", GPT, model("openai/gpt-6"))
    serials.add((await shelf.later(60)).serial)
    shelf.clock.advance(3600)
    serials.add((await shelf.catalog.view()).serial)
    assert len(serials) == 4


async def test_the_view_turns_over_with_the_hour_so_that_end_dates_take_effect() -> None:
    shelf = await shelf_with(GPT)
    first = await shelf.catalog.view()
    second = await shelf.later(3600)
    assert second is not first
    assert second.versions == first.versions


# -- when things break -------------------------------------------------------------------------------------


async def test_memory_serves_while_the_store_is_down() -> None:
    shelf = await shelf_with(GPT)
    await shelf.catalog.view()
    shelf.catalog_store.fault = DOWN
    await shelf.later(60)
    assert await shelf.ids() == [GPT.id]
    assert [entry.fields["code"] for entry in shelf.log.named("catalog.unreadable")] == [
        "gateway_unavailable"
    ]


async def test_memory_serves_while_the_store_hangs() -> None:
    shelf = await shelf_with(GPT)
    await shelf.catalog.view()
    shelf.catalog_store.hangs = True
    async with asyncio.timeout(5):
        await shelf.later(60)
    assert await shelf.ids() == [GPT.id]
    assert [entry.fields["code"] for entry in shelf.log.named("catalog.unreadable")] == ["timeout"]
    shelf.catalog_store.hangs = False
    await shelf.publish("openai", GPT, model("openai/gpt-6"))
    await shelf.later(5)
    assert await shelf.ids() == [GPT.id, "openai/gpt-6"]


async def test_a_store_that_is_down_is_asked_again_within_seconds_not_on_every_request() -> None:
    shelf = await shelf_with(GPT)
    await shelf.catalog.view()
    shelf.catalog_store.fault = DOWN
    await shelf.later(60)
    before = shelf.reads[0]
    for _ in range(49):
        await shelf.later(0.1)
    assert shelf.reads[0] == before
    await shelf.later(0.2)
    assert shelf.reads[0] == before + 1


async def test_with_nothing_in_memory_a_fault_is_a_fault() -> None:
    shelf = await shelf_with(GPT)
    shelf.catalog_store.fault = DOWN
    with pytest.raises(GatewayFault) as refused:
        await shelf.catalog.view()
    assert refused.value.http_status == 503
    shelf.catalog_store.fault = None
    assert await shelf.ids() == [GPT.id]


async def test_a_list_grows_stale_in_memory_too_while_the_store_is_down() -> None:
    shelf = await shelf_with(GPT)
    assert (await shelf.catalog.view()).stale == set()
    shelf.catalog_store.fault = DOWN
    assert (await shelf.later(601)).stale == {"openai"}


async def test_the_last_good_list_is_served_for_a_day_and_then_no_more() -> None:
    shelf = await shelf_with(GPT)
    assert (await shelf.later(86_399)).models == (GPT,)
    assert (await shelf.later(61)).models == ()


async def test_after_a_day_it_is_gone_from_memory_even_if_the_store_can_not_be_read() -> None:
    shelf = await shelf_with(GPT)
    await shelf.catalog.view()
    shelf.catalog_store.fault = DOWN
    assert (await shelf.later(86_401)).models == ()


async def test_a_list_that_can_not_be_read_leaves_the_others_alone() -> None:
    shelf = await shelf_with(GPT, OPUS)
    shelf.break_list("openai")
    assert await shelf.ids() == [OPUS.id]
    assert [entry.fields["provider"] for entry in shelf.log.named("catalog.list_unreadable")] == ["openai"]


async def test_a_list_that_can_not_be_read_again_stays_as_it_was_and_is_tried_within_seconds() -> None:
    shelf = await shelf_with(GPT, OPUS)
    await shelf.catalog.view()
    await shelf.publish("openai", model("openai/gpt-6"))
    await shelf.publish("anthropic", model("anthropic/next"))
    shelf.break_list("openai")
    await shelf.later(60)
    assert await shelf.ids() == ["anthropic/next", GPT.id]
    shelf.mend_list("openai")
    await shelf.later(5)
    assert await shelf.ids() == ["anthropic/next", "openai/gpt-6"]


async def test_if_no_list_can_be_read_at_first_it_is_a_fault_not_an_empty_catalogue() -> None:
    shelf = await shelf_with(GPT, OPUS)
    shelf.break_list("openai")
    shelf.break_list("anthropic")
    with pytest.raises(GatewayFault):
        await shelf.catalog.view()


async def test_an_empty_stack_is_looked_at_every_second_until_there_is_something() -> None:
    shelf = Shelf()
    assert await shelf.ids() == []
    await shelf.publish("openai", GPT)
    await shelf.later(1)
    assert await shelf.ids() == [GPT.id]


# -- refreshing --------------------------------------------------------------------------------------------


async def test_a_stale_list_starts_a_refresh_of_it_and_is_served_meanwhile() -> None:
    starter = MemoryRefreshStarter()
    shelf = Shelf(starter=starter)
    await shelf.publish("openai", GPT)
    await shelf.publish("anthropic", OPUS, fresh_s=6_000)
    view = await shelf.later(600)
    assert list(starter.started) == [(("openai",), False)]
    assert view.stale == {"openai"}
    assert GPT in view.models


async def test_fresh_lists_start_nothing() -> None:
    starter = MemoryRefreshStarter()
    shelf = Shelf(starter=starter)
    await shelf.publish("openai", GPT)
    await shelf.later(599)
    assert not starter.started


async def test_a_refresh_is_started_once_in_thirty_seconds() -> None:
    starter = MemoryRefreshStarter()
    shelf = Shelf(starter=starter, head_check_s=1.0)
    await shelf.publish("openai", GPT, fresh_s=0)
    for _ in range(30):
        await shelf.catalog.view()
        shelf.clock.advance(1)
    assert len(starter.started) == 1
    await shelf.catalog.view()
    assert len(starter.started) == 2


async def test_an_empty_stack_starts_a_refresh_of_everything() -> None:
    starter = MemoryRefreshStarter()
    await Shelf(starter=starter).catalog.view()
    assert list(starter.started) == [(None, False)]


async def test_a_refresh_that_can_not_be_started_spoils_no_answer() -> None:
    starter = MemoryRefreshStarter()
    starter.fault = GatewayFault.unavailable("The function")
    shelf = Shelf(starter=starter)
    await shelf.publish("openai", GPT, fresh_s=0)
    assert await shelf.ids() == [GPT.id]
    assert shelf.log.named("catalog.refresh_not_started")


async def test_a_forced_refresh_waits_until_every_head_was_looked_at_anew() -> None:
    async def refresh(providers: tuple[str, ...] | None, force: bool) -> None:
        assert (providers, force) == (None, True)
        await shelf.publish("openai", GPT, model("openai/gpt-6"))
        await shelf.publish("anthropic", OPUS)

    starter = MemoryRefreshStarter(refresh)
    shelf = Shelf(starter=starter)
    await shelf.publish("openai", GPT)
    await shelf.publish("anthropic", OPUS)
    await shelf.catalog.view()
    shelf.clock.advance(5)
    view = await shelf.catalog.refresh(wait_s=20, poll_s=0.001)
    assert "openai/gpt-6" in view.by_id


async def test_a_forced_refresh_gives_up_waiting_and_serves_what_there_is() -> None:
    async def nothing_comes(_providers: tuple[str, ...] | None, _force: bool) -> None:
        shelf.clock.advance(21)

    shelf = Shelf(starter=MemoryRefreshStarter(nothing_comes))
    await shelf.publish("openai", GPT)
    shelf.clock.advance(5)
    view = await shelf.catalog.refresh(wait_s=20, poll_s=0.001)
    assert view.models == (GPT,)


@pytest.mark.parametrize("hangs", [True, False])
@pytest.mark.parametrize("seen", [True, False])
async def test_a_forced_refresh_is_refused_at_once_while_the_store_fails(hangs: bool, seen: bool) -> None:
    starter = MemoryRefreshStarter()
    shelf = Shelf(starter=starter)
    await shelf.publish("openai", GPT)
    if seen:
        await shelf.catalog.view()
    shelf.catalog_store.hangs = hangs
    shelf.catalog_store.fault = None if hangs else DOWN
    async with asyncio.timeout(1):
        with pytest.raises(GatewayFault) as refused:
            await shelf.catalog.refresh(wait_s=20)
    assert (refused.value.code, refused.value.retryable) == ("gateway_unavailable", True)
    assert refused.value.retry_after_s
    assert not starter.started


async def test_a_forced_refresh_that_can_not_be_started_is_told_at_once() -> None:
    starter = MemoryRefreshStarter()
    starter.fault = GatewayFault.unavailable("The function")
    shelf = Shelf(starter=starter)
    await shelf.publish("openai", GPT)
    async with asyncio.timeout(1):
        with pytest.raises(GatewayFault):
            await shelf.catalog.refresh(wait_s=20)


async def test_a_forced_refresh_does_not_wait_for_heads_that_can_not_be_read() -> None:
    async def refresh(_providers: tuple[str, ...] | None, _force: bool) -> None:
        shelf.catalog_store.fault = DOWN

    shelf = Shelf(starter=MemoryRefreshStarter(refresh))
    await shelf.publish("openai", GPT)
    shelf.clock.advance(5)
    async with asyncio.timeout(1):
        with pytest.raises(GatewayFault):
            await shelf.catalog.refresh(wait_s=20, poll_s=0.001)
    shelf.catalog_store.fault = None
    assert await shelf.ids() == [GPT.id]


# -- pinned versions ---------------------------------------------------------------------------------------


async def test_a_pinned_view_shows_the_old_lists_after_they_changed() -> None:
    shelf = await shelf_with(GPT, OPUS)
    pins = pins_of(await shelf.catalog.view())
    await shelf.publish("openai", model("openai/gpt-6"))
    new = await shelf.later(60)
    old = await shelf.catalog.pinned(pins)
    assert [each.id for each in old.models] == [OPUS.id, GPT.id]
    assert pins_of(old) == pins
    assert [each.id for each in new.models] == [OPUS.id, "openai/gpt-6"]


async def test_pins_of_the_present_are_the_present() -> None:
    shelf = await shelf_with(GPT)
    view = await shelf.catalog.view()
    assert await shelf.catalog.pinned(pins_of(view)) is view


async def test_pins_outlive_the_provider_itself_while_its_pieces_are_kept() -> None:
    shelf = await shelf_with(GPT, OPUS)
    pins = pins_of(await shelf.catalog.view())
    await shelf.catalog_store.delete_provider("openai")
    await shelf.later(60)
    old = await shelf.catalog.pinned(pins)
    assert GPT in old.models
    assert pins_of(old) == pins


async def test_pins_whose_pieces_are_gone_are_a_fault() -> None:
    shelf = await shelf_with(GPT)
    pins = pins_of(await shelf.catalog.view())
    await shelf.publish("openai", model("openai/gpt-6"))
    await shelf.later(60)
    shelf.clock.advance(3 * 3600)
    with pytest.raises(GatewayFault):
        await shelf.catalog.pinned(pins)


async def test_another_process_reads_pinned_versions_from_the_store() -> None:
    shelf = await shelf_with(GPT)
    pins = pins_of(await shelf.catalog.view())
    await shelf.publish("openai", model("openai/gpt-6"))
    other = Catalog(shelf.adapters.catalog, shelf.clock, shelf.log, head_check_s=60)
    assert (await other.pinned(pins)).models == (GPT,)


# -- what a provider's status is ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (SnapshotHead(provider="openai", version="v"), "healthy"),
        (SnapshotHead(provider="openai", version="v", error="provider_timeout: slow"), "degraded"),
        (SnapshotHead(provider="openai", error="provider_auth: no"), "down"),
    ],
)
async def test_before_any_check_the_list_tells_how_a_provider_does(head: SnapshotHead, status: str) -> None:
    view = replace(await Shelf().catalog.view(), heads={"openai": head})
    assert view.status_of("openai").value == status
    assert view.status_of("unheard-of") is ProviderStatus.DOWN


async def test_a_check_tells_more_than_the_list() -> None:
    health = ProviderHealth(provider="openai", status=ProviderStatus.DOWN, last_checked=Bench().clock.now())
    head = SnapshotHead(provider="openai", version="v")
    view = replace(await Shelf().catalog.view(), heads={"openai": head}, health={"openai": health})
    assert view.status_of("openai") is ProviderStatus.DOWN


async def test_a_list_that_could_not_be_read_since_degrades_what_was_healthy_and_is_stale() -> None:
    shelf = await shelf_with(GPT)
    now = shelf.clock.now()
    health = ProviderHealth(provider="openai", status=ProviderStatus.HEALTHY, last_checked=now)
    await shelf.catalog_store.write_health(health)
    fresh = await shelf.catalog.view()
    assert (fresh.status_of("openai"), fresh.stale) == (ProviderStatus.HEALTHY, frozenset())
    head = replace(fresh.heads["openai"], error="provider_protocol: no list")
    await shelf.catalog_store.write_head(head)
    view = await shelf.later(60)
    assert (view.status_of("openai"), view.stale) == (ProviderStatus.DEGRADED, frozenset({"openai"}))
    assert await shelf.ids() == [GPT.id]
