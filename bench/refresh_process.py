"""The process that `bench.refresh` measures: `python -m bench.refresh_process UPSTREAM_URL ROUNDS`."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from statistics import median
from typing import Any

import aiohttp
import uvloop

from bench.figures import Row
from bench.machine import BenchFailed
from headgate.bootstrap import Adapters, Container
from headgate.domain.catalog import ModelInfo
from headgate.providers.openrouter import OpenRouter
from headgate.settings import from_environ
from headgate.testing import memory

PROVIDERS = tuple(f"copy{number}" for number in range(12))
MODELS = 400

type Cost = tuple[float, float]
"""Wall time and processor time, in milliseconds."""


def copy_of_openrouter(slug: str) -> OpenRouter:
    """OpenRouter's own reading of its list, the richest there is, under another name."""

    class Copy(OpenRouter):
        spec = replace(OpenRouter.spec, slug=slug, name=slug)

        def parse_model(self, entry: Mapping[str, Any]) -> ModelInfo | None:
            model = super().parse_model(entry)
            return model and replace(model, id=f"{slug}/{entry['id']}", provider=slug)

    return Copy()


async def measure(url: str, rounds: int) -> list[Row]:
    """Medians over rounds, each with stores and connections of its own."""
    costs: dict[str, list[Cost]] = {"floor": [], "first": [], "unchanged": []}
    for number in range(rounds + 1):
        floor = await _fetched_only(url)
        first, unchanged = await _refreshed_twice(url)
        if number:
            costs["floor"].append(floor)
            costs["first"].append(first)
            costs["unchanged"].append(unchanged)
    floor_ms = median(cpu_ms for _, cpu_ms in costs["floor"])
    return [_row(what, taken, floor_ms) for what, taken in costs.items()]


def _row(what: str, costs: list[Cost], floor_ms: float) -> Row:
    wall_ms, cpu_ms = median(wall for wall, _ in costs), median(cpu for _, cpu in costs)
    return {
        "bench": "refresh",
        "what": what,
        "wall_ms": wall_ms,
        "cpu_ms": cpu_ms,
        "cpu_us_per_model": cpu_ms * 1000 / (len(PROVIDERS) * MODELS),
        "cpu_ratio": cpu_ms / floor_ms,
    }


async def _refreshed_twice(url: str) -> tuple[Cost, Cost]:
    """A first refresh, and a forced one right after it, which finds the same."""
    services = _services(url)
    try:
        first = await _cost_of(lambda: _refresh(services, "updated"))
        return first, await _cost_of(lambda: _refresh(services, "unchanged"))
    finally:
        await services.close()


def _services(url: str) -> Container:
    environ = {"HEADGATE_STORE": "memory", "HEADGATE_LOCAL": "1"}
    keys = {f"{slug.upper()}_API_KEY": "sk-bench" for slug in PROVIDERS}
    addresses = {f"{slug.upper()}_BASE_URL": f"{url}/{MODELS}/api/v1" for slug in PROVIDERS}
    stores = Adapters(
        catalog=memory.MemoryCatalogStore(),
        accounts=memory.MemoryAccountStore(),
        connections=memory.MemoryConnectionStore(),
        vault=memory.MemoryVault(),
        webhooks=memory.MemoryWebhookStore(),
        generations=memory.MemoryGenerationStore(),
        ledger=memory.MemoryLedger(),
        secrets=memory.EnvSecretStore(keys | addresses),
        starter=memory.MemoryRefreshStarter(),
        usage=memory.MemoryUsageStore(),
        log=memory.NullLog(),
    )
    services = Container(from_environ("refresh", environ), stores)
    for slug in PROVIDERS:
        services.registry.register(copy_of_openrouter(slug))
    return services


async def _refresh(services: Container, wanted: str) -> None:
    outcomes = await services.refresher.refresh(None, force=True)
    if [(each.outcome, each.model_count) for each in outcomes] != [(wanted, MODELS)] * len(PROVIDERS):
        raise BenchFailed(f"not {wanted}: {outcomes}")


async def _fetched_only(url: str) -> Cost:
    """The lists fetched and read as JSON, all at once, and dropped."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def fetch() -> None:
            async with session.get(f"{url}/{MODELS}/api/v1/models") as response:
                json.loads(await response.read())

        async def fetch_all() -> None:
            await asyncio.gather(*(fetch() for _ in PROVIDERS))

        return await _cost_of(fetch_all)


async def _cost_of(work: Callable[[], Awaitable[None]]) -> Cost:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    await work()
    return (time.perf_counter() - wall_s) * 1000, (time.process_time() - cpu_s) * 1000


if __name__ == "__main__":
    print(json.dumps(uvloop.run(measure(sys.argv[1], int(sys.argv[2])))))
