"""What a view costs: nothing for those without keys, one making for those with; and without a store."""

import asyncio
from collections.abc import Mapping

import pytest

from headgate.domain.catalog import SnapshotHead
from headgate.domain.errors import GatewayFault
from headgate.services.caller_catalog import MOST_VIEWS, CallerCatalog
from headgate.services.key_lists import ConnectionLists
from headgate.services.spare_lists import SpareLists
from headgate.testing.memory import ManualClock, MemoryCatalogStore
from tests.support.bench import ANN, Bench, Counted, ann
from tests.support.keys import connect
from tests.support.lists import sees
from tests.support.models import model
from tests.support.provider import fake_provider, listing

M, OWN = model("alpha/m"), model("alpha/own")
BOB = ann(user_id="bob", key_id="key_bob")


class HangingStore(MemoryCatalogStore):
    """Says nothing while `hangs`; `asked` counts who wanted to know."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.hangs = False
        self.asked = 0

    async def read_heads(self) -> Mapping[str, SnapshotHead]:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        return await super().read_heads()


class Shelf(Bench):
    """A process that lists models, over a store that may hang."""

    def __init__(self, function: str = "models") -> None:
        super().__init__("alpha", "beta", environ={"HEADGATE_DEFAULT_PROVIDERS": "alpha"})
        self.catalog_store: HangingStore = HangingStore(self.clock)
        self.catalog_calls = Counted(self.catalog_store)
        self.providers["alpha"] = fake_provider("alpha", public_list=True)
        self.transport.on("https://alpha.example/models", listing(M))
        self.one = self.process(function)

    @property
    def catalog(self) -> CallerCatalog:
        return self.one.caller_catalog

    def impatient(self) -> CallerCatalog:
        """One that waits for its store no longer than 10 ms."""
        one = self.one
        lists = ConnectionLists(
            store=self.connections, reach=one.reach, clock=self.clock, log=self.log, ttl_s=600
        )
        spare = SpareLists(
            ("alpha",),
            registry=one.registry,
            base_urls=one.settings.base_url_of,
            clock=self.clock,
            log=self.log,
            ttl_s=600,
        )
        return CallerCatalog(
            catalog=one.catalog,
            connections=lists,
            reach=one.reach,
            flags=one.flags,
            audit=self.accounts,
            settings=one.settings,
            clock=self.clock,
            log=self.log,
            spare=spare,
            first_read_s=0.01,
        )


async def test_who_has_no_keys_gets_the_platforms_view_itself() -> None:
    shelf = Shelf()
    await shelf.publish("alpha", M)
    platform = await shelf.one.catalog.view()
    assert await shelf.catalog.view(ANN) is platform
    assert await shelf.catalog.view(BOB) is platform


async def test_a_callers_view_is_made_once_until_something_differs() -> None:
    shelf = Shelf()
    await shelf.publish("alpha", M)
    made = await connect(shelf, "alpha")
    await sees(shelf, made, OWN)
    first = await shelf.catalog.view(ANN)
    assert await shelf.catalog.view(ANN) is first
    shelf.clock.advance(61)
    assert await shelf.catalog.view(ANN) is first
    await sees(shelf, made, OWN, M)
    shelf.clock.advance(61)
    later = await shelf.catalog.view(ANN)
    assert later is not first
    assert later.mark != first.mark


async def test_times_of_checks_make_no_models_anew() -> None:
    shelf = Shelf()
    await shelf.publish("alpha", M)
    await sees(shelf, await connect(shelf, "alpha"), OWN)
    first = await shelf.catalog.view(ANN)
    shelf.clock.advance(61)
    await shelf.publish("alpha", M)
    later = await shelf.catalog.view(ANN)
    assert later.heads["alpha"].fetched_at != first.heads["alpha"].fetched_at
    assert later.models is first.models
    assert later.mark == first.mark


async def test_of_very_many_users_the_view_that_was_longest_unused_goes_first() -> None:
    shelf = Shelf()
    await shelf.publish("alpha", M)
    views = []
    for number in range(MOST_VIEWS + 1):
        user = f"user{number}"
        await sees(shelf, await connect(shelf, "alpha", f"c{number}", user=user), OWN)
        views.append(await shelf.catalog.view(ann(user_id=user)))
    assert await shelf.catalog.view(ann(user_id=user)) is views[-1]
    assert await shelf.catalog.view(ann(user_id="user0")) is not views[0]


async def test_generations_ask_no_provider_for_a_list_that_is_missing_but_have_it_read() -> None:
    shelf = Shelf("generations")
    await shelf.publish("alpha", M)
    row = await connect(shelf, "alpha")
    await shelf.catalog.view(ANN)
    assert list(shelf.starter.connections_started) == [(("ann", row.id),)]
    assert not shelf.transport.requests


async def test_generations_do_not_go_on_without_their_callers_connections() -> None:
    shelf = Shelf("generations")
    await shelf.publish("alpha", M)
    shelf.connections.fault = GatewayFault.unavailable("The table")
    with pytest.raises(GatewayFault):
        await shelf.catalog.view(ANN)


async def test_a_store_that_hangs_keeps_nobody_for_long() -> None:
    shelf = Shelf()
    shelf.catalog_store.hangs = True
    catalog = shelf.impatient()
    async with asyncio.timeout(2):
        views = await asyncio.gather(*(catalog.view(ANN) for _ in range(10)))
    assert all(view.models == (M,) and view.unread for view in views)
    assert len(shelf.transport.requests) == 1


async def test_a_store_that_fails_is_asked_every_two_seconds_and_served_when_it_is_back() -> None:
    shelf = Shelf()
    await shelf.publish("beta", model("beta/n"))
    shelf.catalog_store.fault = GatewayFault.unavailable("The table")
    shelf.catalog_store.asked = 0
    for _ in range(10):
        assert [each.id for each in (await shelf.catalog.view(ANN)).models] == [M.id]
    assert shelf.catalog_store.asked == 1
    shelf.clock.advance(2)
    await shelf.catalog.view(ANN)
    assert shelf.catalog_store.asked == 2
    shelf.catalog_store.fault = None
    shelf.clock.advance(2)
    assert [each.id for each in (await shelf.catalog.view(ANN)).models] == ["beta/n"]


async def test_the_default_set_is_read_again_when_it_is_old() -> None:
    shelf = Shelf()
    shelf.catalog_store.fault = GatewayFault.unavailable("The table")
    await shelf.catalog.view(ANN)
    shelf.transport.on("https://alpha.example/models", listing(M, OWN))
    shelf.clock.advance(601)
    assert len((await shelf.catalog.view(ANN)).models) == 2


async def test_a_list_is_started_once_in_half_a_minute_however_often_it_is_asked_for() -> None:
    shelf = Shelf()
    await shelf.publish("alpha", M)
    await connect(shelf, "alpha")
    for _ in range(29):
        await shelf.catalog.view(ANN)
        shelf.clock.advance(1)
    assert len(shelf.starter.connections_started) == 1
    shelf.clock.advance(2)
    await shelf.catalog.view(ANN)
    assert len(shelf.starter.connections_started) == 2


async def test_a_refresh_that_cant_be_started_is_told() -> None:
    shelf = Shelf()
    await connect(shelf, "alpha")
    shelf.starter.fault = GatewayFault.unavailable("The refresh function")
    with pytest.raises(GatewayFault):
        await shelf.catalog.refresh(ANN)
    await shelf.publish("alpha", M)
    assert [each.id for each in (await shelf.catalog.view(ANN)).models] == [M.id]
