"""Lists of lent keys: read in this process, kept for a while, and nothing of a key beside."""

import asyncio
import hashlib

from headgate.domain.catalog import SnapshotHead
from headgate.domain.secret import Secret
from headgate.services.lent_lists import MOST_KEPT, LentLists
from headgate.testing.memory import Answer
from tests.support.bench import Bench
from tests.support.models import model
from tests.support.provider import CRASH, fake_provider, listing

KEY = "sk-lent-0123456789"
LENT = {"alpha": Secret(KEY)}
M = model("alpha/m")


class Desk(Bench):
    """Alpha answers to whoever asks; `ttl_s` is ten minutes."""

    def __init__(self, *, base_url: str | None = None, **spec: object) -> None:
        super().__init__("alpha")
        self.providers["alpha"] = fake_provider("alpha", **spec)
        self.transport.on("/models", listing(M)).on("/key", Answer())
        self.lists = LentLists(
            registry=self.process("models").registry,
            base_urls={"alpha": base_url}.get,
            clock=self.clock,
            log=self.log,
            ttl_s=600,
        )

    @property
    def asked(self) -> list[str]:
        return sorted(request.url for request in self.transport.requests)


async def test_of_many_who_ask_at_once_one_asks_the_provider() -> None:
    desk = Desk()
    found = await asyncio.gather(*(desk.lists.of(LENT, {}) for _ in range(20)))
    assert all(lists[0].models == (M,) for lists in found)
    assert desk.asked == ["https://alpha.example/key", "https://alpha.example/models"]


async def test_one_who_leaves_takes_nobodys_list_along() -> None:
    desk = Desk()
    leaving = asyncio.create_task(desk.lists.of(LENT, {}))
    staying = asyncio.create_task(desk.lists.of(LENT, {}))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying)[0].models == (M,)


async def test_neither_a_key_nor_its_hash_stays_in_memory() -> None:
    desk = Desk()
    found = await desk.lists.of(LENT, {})
    kept = repr(vars(desk.lists)) + repr(found)
    for text in (KEY, hashlib.sha256(KEY.encode()).hexdigest()[:12]):
        assert text not in kept
    other = Desk()
    assert (await other.lists.of(LENT, {}))[0].id != found[0].id  # each process has a secret of its own


async def test_memory_is_bounded_and_the_longest_unused_goes_first() -> None:
    desk = Desk()
    for number in range(MOST_KEPT + 1):
        await desk.lists.of({"alpha": Secret(f"sk-{number}")}, {})
    asked = len(desk.asked)
    await desk.lists.of({"alpha": Secret(f"sk-{MOST_KEPT}")}, {})
    assert len(desk.asked) == asked
    await desk.lists.of({"alpha": Secret("sk-0")}, {})
    assert len(desk.asked) > asked


async def test_a_failure_is_kept_for_less_long_than_a_list() -> None:
    desk = Desk()
    desk.transport.on("/models", Answer(status=402), listing(M))
    (failed,) = await desk.lists.of(LENT, {})
    assert (failed.error or "").startswith("provider_insufficient_funds")
    assert (await desk.lists.of(LENT, {}))[0] == failed
    desk.clock.advance(31)
    assert (await desk.lists.of(LENT, {}))[0].models == (M,)


async def test_a_providers_code_that_crashes_is_told_like_a_failure() -> None:
    desk = Desk()
    desk.transport.on("/models", CRASH)
    (failed,) = await desk.lists.of(LENT, {})
    assert (failed.error or "").startswith("internal")
    assert desk.log.named("provider.crashed")


async def test_a_key_that_can_be_none_is_told_too() -> None:
    desk = Desk()
    (failed,) = await desk.lists.of({"custom": Secret("x")}, {})
    assert "base URL" in (failed.error or "")


async def test_a_list_that_costs_something_is_not_asked_for() -> None:
    desk = Desk(list_ttl_s=3600)
    (unread,) = await desk.lists.of(LENT, {})
    assert (unread.version, unread.models, unread.error) == (None, (), None)
    assert desk.asked == ["https://alpha.example/key"]


async def test_a_check_that_says_nothing_of_the_key_spoils_nothing() -> None:
    desk = Desk()
    desk.transport.on("/key", Answer(status=500))
    assert (await desk.lists.of(LENT, {}))[0].models == (M,)


async def test_a_key_goes_where_the_operator_has_the_provider() -> None:
    desk = Desk(base_url="https://proxy.example")
    await desk.lists.of(LENT, {})
    assert {url.split("/")[2] for url in desk.asked} == {"proxy.example"}
    desk = Desk()
    await desk.lists.of(LENT, {"alpha": SnapshotHead(provider="alpha", base_url="https://told.example")})
    assert {url.split("/")[2] for url in desk.asked} == {"told.example"}


async def test_what_is_forgotten_is_asked_for_again() -> None:
    desk = Desk()
    await desk.lists.of(LENT, {})
    desk.lists.forget(LENT)
    await desk.lists.of(LENT, {})
    assert desk.asked.count("https://alpha.example/models") == 2
