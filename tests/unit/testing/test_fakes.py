"""What the fakes promise beyond their ports: bounds, switches for faults, and what they remember."""

import asyncio
from datetime import timedelta

import pytest

from headgate.clock import SystemClock
from headgate.domain.admission import Admission, Counter
from headgate.domain.catalog import ChangeEvent, ChangeType
from headgate.domain.errors import GatewayFault
from headgate.domain.generation import GenerationRecord, GenerationStatus
from headgate.domain.health import TrafficWindow
from headgate.domain.secret import Secret
from headgate.testing.clock import START
from headgate.testing.memory import (
    EnvSecretStore,
    ManualClock,
    MemoryAccountStore,
    MemoryCatalogStore,
    MemoryGenerationStore,
    MemoryLog,
    MemoryRefreshStarter,
    MemorySecretStore,
    NullLog,
)


def generation(number: int) -> GenerationRecord:
    return GenerationRecord(
        id=f"gen_{number}",
        owner=f"user_{number % 3}",
        key_id="key_1",
        type="text",
        status=GenerationStatus.SUCCEEDED,
        created_at=START + timedelta(seconds=number),
    )


# -- clocks and logs ----------------------------------------------------------------------------------------


def test_a_manual_clock_stands_until_it_is_moved() -> None:
    clock = ManualClock()
    before, before_s = clock.now(), clock.monotonic()
    assert (clock.now(), clock.monotonic()) == (before, before_s)
    clock.advance(2.5)
    assert clock.now() - before == timedelta(seconds=2.5)
    assert clock.monotonic() - before_s == 2.5
    clock.jump_to(before - timedelta(days=1))
    assert clock.monotonic() - before_s == 2.5
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_the_system_clock_is_aware_and_runs() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.monotonic() <= clock.monotonic()


def test_a_log_keeps_the_last_events_by_name() -> None:
    log = MemoryLog(limit=3)
    log.info("first")
    log.info("seen", number=1)
    log.warning("other")
    log.error("seen", number=2)
    assert [(entry.level, entry.fields["number"]) for entry in log.named("seen")] == [
        ("info", 1),
        ("error", 2),
    ]
    assert [entry.event for entry in log.entries] == ["seen", "other", "seen"]


def test_a_null_log_takes_everything() -> None:
    log = NullLog()
    for write in (log.info, log.warning, log.error):
        write("event", number=1)


# -- faults -------------------------------------------------------------------------------------------------


async def test_a_fake_fails_while_it_is_told_to_and_changes_nothing() -> None:
    store = MemoryGenerationStore()
    store.fault = GatewayFault.unavailable("The store")
    with pytest.raises(GatewayFault):
        await store.begin(generation(1))
    store.fault = None
    assert await store.get("gen_1") is None


async def test_a_fake_can_fail_between_two_writes() -> None:
    store = MemoryGenerationStore()
    store.fault, store.faults_after = GatewayFault.unavailable("The store"), 1
    await store.begin(generation(1))
    with pytest.raises(GatewayFault):
        await store.finish(generation(1))


async def test_every_store_has_the_switch() -> None:
    catalog, accounts = MemoryCatalogStore(), MemoryAccountStore()
    secrets, starter = MemorySecretStore(), MemoryRefreshStarter()
    for store in (catalog, accounts, secrets, starter):
        store.fault = GatewayFault.unavailable("It")
    for call in (
        catalog.read_heads(),
        accounts.get_key("x"),
        secrets.get("x"),
        starter.start(None, force=False),
    ):
        with pytest.raises(GatewayFault, match="It"):
            await call


# -- bounds -------------------------------------------------------------------------------------------------


async def test_of_finished_generations_the_last_ones_are_kept_and_running_ones_all() -> None:
    store = MemoryGenerationStore(ManualClock(), most_finished=10)
    await store.begin(generation(1000))
    for number in range(50):
        await store.begin(generation(number))
        await store.finish(generation(number))
    assert len(store) == 11
    assert await store.get("gen_1000") is not None
    assert await store.get("gen_39") is None
    assert await store.get("gen_40") is not None
    listed, _ = await store.list_by_owner("user_0", filters={}, limit=50, cursor=None)
    assert [record.id for record in listed] == ["gen_48", "gen_45", "gen_42"]


async def test_finishing_again_does_not_push_others_out() -> None:
    store = MemoryGenerationStore(most_finished=2)
    for number in (1, 2, 2, 2):
        await store.finish(generation(number))
    assert await store.get("gen_1") is not None


async def test_each_finished_generation_is_handed_on() -> None:
    seen: list[str] = []

    async def on_finish(record: GenerationRecord) -> None:
        seen.append(record.id)

    store = MemoryGenerationStore(on_finish=on_finish)
    await store.begin(generation(1))
    await store.finish(generation(1))
    await store.tell_keys(generation(2))
    assert seen == ["gen_1", "gen_2"]


async def test_counters_of_windows_that_ended_are_forgotten() -> None:
    clock = ManualClock()
    store = MemoryGenerationStore(clock)
    for number in range(5000):
        ends = clock.now() + timedelta(seconds=60)
        await store.begin(
            generation(number),
            Admission(
                counters=(
                    Counter(name=f"k#{number}", measure="requests", amount=1, limit=1, expires_at=ends),
                )
            ),
        )
        clock.advance(1)
    assert store.counters < 1500


async def test_old_changes_and_traffic_are_forgotten() -> None:
    clock = ManualClock()
    store = MemoryCatalogStore(clock)
    events = [
        ChangeEvent(id=f"evt_{number:06d}", type=ChangeType.MODEL_ADDED, at=clock.now(), provider="p")
        for number in range(20_001)
    ]
    await store.append_changes(events)
    assert await store.read_changes(after=None, limit=30_000) == events[-10_000:]
    minute = int(clock.now().timestamp() // 60)
    for ago in range(2000):
        await store.add_traffic("p", minute - 2000 + ago, TrafficWindow(calls=1))
    assert len(await store.read_traffic("p", since_minute=0)) <= 26 * 60 + 1


# -- starting a refresh -------------------------------------------------------------------------------------


async def test_a_started_refresh_runs_beside_and_is_remembered() -> None:
    running, release = asyncio.Event(), asyncio.Event()

    async def run(providers: tuple[str, ...] | None, force: bool) -> None:
        running.set()
        await release.wait()

    starter = MemoryRefreshStarter(run)
    await starter.start(["openai"], force=True)
    await starter.start(None, force=False)
    await running.wait()
    assert list(starter.started) == [(("openai",), True), (None, False)]
    release.set()
    await starter.drain()


async def test_a_refresh_that_fails_is_told_to_who_waits_for_it() -> None:
    async def run(providers: tuple[str, ...] | None, force: bool) -> None:
        raise GatewayFault.unavailable("The list")

    starter = MemoryRefreshStarter(run)
    await starter.start(None, force=False)
    with pytest.raises(GatewayFault):
        await starter.drain()


# -- secrets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "slug", "fields"),
    [
        ({"GOOGLE_API_KEY": "g"}, "gemini", {"api_key": "g"}),
        ({"GOOGLE_API_KEY": "g", "GEMINI_API_KEY": "own"}, "gemini", {"api_key": "own"}),
        (
            {"GOOGLE_API_KEY": "g", "GEMINI_BASE_URL": "http://x"},
            "gemini",
            {"api_key": "g", "base_url": "http://x"},
        ),
        ({"OLLAMA_BASE_URL": "http://o"}, "custom", {"base_url": "http://o"}),
        (
            {"OLLAMA_BASE_URL": "http://o", "VLLM_API_KEY": "v", "VLLM_BASE_URL": "http://v"},
            "custom",
            {"base_url": "http://o"},
        ),
        ({"LMSTUDIO_API_KEY": "l"}, "custom", {"api_key": "l"}),
        ({"CUSTOM_BASE_URL": "http://c", "OLLAMA_API_KEY": "o"}, "custom", {"base_url": "http://c"}),
        ({"OPENAI_API_KEY": "  ", "OPENAI_BASE_URL": ""}, "openai", None),
        ({"OPENAI_API_KEY": " sk-1 \n"}, "openai", {"api_key": "sk-1"}),
        ({"OPENAI_API_KEY": "sk-1"}, "google", None),
    ],
)
async def test_the_environment_is_read_by_slug_and_alias(
    environ: dict[str, str], slug: str, fields: dict[str, str] | None
) -> None:
    found = await EnvSecretStore(environ).get(slug)
    assert (None if found is None else {name: value.reveal() for name, value in found.items()}) == fields


async def test_a_secret_in_memory_may_be_put_and_removed() -> None:
    store = MemorySecretStore()
    store.put("openai", api_key="sk-1")
    assert await store.get("openai") == {"api_key": Secret("sk-1")}
    store.remove("openai")
    store.remove("openai")
    assert await store.get("openai") is None
