"""`python -m bench.admission`: what limits, credits, idempotency keys and connections add to a request.

The apps in this process, over memory stores and a scripted provider, so that the figures are processor time
of ours alone: all kinds in turn in every round, and each round's ratio to the plain kind of that round.
"""

import asyncio
import gc
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from statistics import median
from typing import Any

import orjson

from bench.figures import paired, ratio
from headgate.bootstrap import Adapters, HttpFunction, memory_adapters
from headgate.codec import snapshot_version
from headgate.domain.audit import AuditEvent
from headgate.domain.callers import KeyLimits
from headgate.domain.catalog import ModelInfo, Pricing, Snapshot, SnapshotHead
from headgate.domain.credits import EntryKind, LedgerEntry
from headgate.domain.ids import new_id
from headgate.http.routes import connections, generations, models
from headgate.ports import ConnectionModels
from headgate.services.manage_keys import ALL_SCOPES, KeyManager
from headgate.settings import from_environ
from headgate.testing.memory import Answer, MemoryLog, MemorySecretStore, ScriptedTransport

ROUNDS, REQUESTS, LISTED = 12, 100, 400
FAR = 10**15
EVERY_LIMIT = KeyLimits(
    requests_per_minute=10**9,
    tokens_per_minute=FAR,
    spend_per_day_nanousd=FAR,
    spend_per_month_nanousd=FAR,
)
CHAT = {"model": "openai/m-0", "messages": [{"role": "user", "content": "Hello."}], "max_tokens": 100}
SAID = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-0",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of request. user: `own` has a connection, with a list as long as the platform's; `none` has
    none."""

    name: str
    app: str = "off"
    limits: KeyLimits = KeyLimits()
    user: str = "none"
    keyed: bool = False
    path: str = "/v1/chat/completions"


CHATS = (
    Kind(name="credits off, no limit"),
    Kind(name="requests a minute", limits=KeyLimits(requests_per_minute=10**9)),
    Kind(name="all four limits", limits=EVERY_LIMIT),
    Kind(name="credits enforced", app="enforced"),
    Kind(name="credits enforced, all four limits", app="enforced", limits=EVERY_LIMIT),
    Kind(name="an idempotency key", keyed=True),
    Kind(name="a connection's key", user="own"),
    Kind(name="all of it", app="enforced", limits=EVERY_LIMIT, user="own", keyed=True),
)
LISTS = (
    Kind(name="no connection", app="models", path="/v2/models"),
    Kind(name="a connection", app="models", path="/v2/models", user="own"),
)


class House:
    """Every app over the same stores."""

    def __init__(self) -> None:
        environ = {"HEADGATE_STORE": "memory", "HEADGATE_READ_REQUESTS_PER_MINUTE": "1000000000"}
        transport = ScriptedTransport()
        transport.on("", Answer.of_json(SAID))
        self.transport = transport
        self.adapters: Adapters = replace(
            memory_adapters(from_environ("generations", environ)),
            transport=transport,
            secrets=MemorySecretStore({"openai": {"api_key": "sk-platform-0123456789"}}),
            log=MemoryLog(),
        )
        self.apps: dict[str, HttpFunction] = {}
        for name, function, router in (
            ("off", "generations", generations.router),
            ("enforced", "generations", generations.router),
            ("models", "models", models.router),
            ("connections", "connections", connections.router),
        ):
            app = HttpFunction(function, [router], buffered=False)
            credits = "enforced" if name == "enforced" else "off"
            app.configure({**environ, "HEADGATE_CREDITS": credits}, self.adapters)
            self.apps[name] = app
        self._keys: dict[tuple[str, KeyLimits], str] = {}
        self._turns = itertools.count()

    async def furnish(self) -> "House":
        now = datetime.now(UTC)
        shown = tuple(sorted((_model(number) for number in range(LISTED)), key=lambda each: each.id))
        await self.adapters.catalog.write_snapshot(_snapshot(shown, now), replaces=None)
        for user in ("own", "none"):
            entry = LedgerEntry(
                id=f"led_{user}", user_id=user, at=now, kind=EntryKind.GRANT, amount_nanousd=FAR
            )
            event = AuditEvent(
                id=new_id("evt"), at=now, actor="bench", user_id=user, action="credits.granted", target=user
            )
            await self.adapters.ledger.add_entry(entry, event)
        body = {"name": "mine", "type": "openai", "api_key": "sk-mine-0123456789"}
        owner = Kind(name="", app="connections", user="own", path="/v2/connections")
        made = orjson.loads(await self.ask(owner, body))
        there = (await self.adapters.connections.load("own")).find(made["id"])
        assert there is not None
        read = ConnectionModels(
            connection_id=there.id, version=snapshot_version(shown), checked_at=now, models=shown
        )
        await self.adapters.connections.write_list(there, read)
        return self

    async def key_of(self, kind: Kind) -> str:
        found = self._keys.get((kind.user, kind.limits))
        if found is None:
            services = self.apps["off"].services
            manager = KeyManager(self.adapters.accounts, services.clock, services.log)
            _, text = await manager.mint(
                user_id=kind.user, name="bench", scopes=tuple(ALL_SCOPES), limits=kind.limits
            )
            found = self._keys[kind.user, kind.limits] = text.reveal()
        return found

    async def ask(self, kind: Kind, body: Mapping[str, Any] | None = None) -> bytes:
        """The body of a 2xx answer. Raises RuntimeError for another."""
        headers = [(b"authorization", f"Bearer {await self.key_of(kind)}".encode())]
        if kind.keyed:
            headers.append((b"idempotency-key", f"turn {next(self._turns)}".encode()))
        return await _call(self.apps[kind.app], kind.path, headers, body)


async def _call(
    app: HttpFunction, path: str, headers: list[tuple[bytes, bytes]], body: Mapping[str, Any] | None
) -> bytes:
    sent = b"" if body is None else orjson.dumps(body)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET" if body is None else "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [*headers, (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("gate", 80),
        "state": {},
    }
    status, pieces, given = 0, [], False
    gone = asyncio.Event()

    async def receive() -> Any:
        nonlocal given
        if given:
            await gone.wait()
        given = True
        return {"type": "http.request", "body": sent, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)
        pieces.append(message.get("body", b""))

    await app.app(scope, receive, send)
    if not 200 <= status < 300:
        raise RuntimeError(f"{path} answered {status}: {b''.join(pieces)[:300]!r}")
    return b"".join(pieces)


def _model(number: int) -> ModelInfo:
    return ModelInfo(
        id=f"openai/m-{number}",
        canonical_id=f"openai/m-{number}",
        provider="openai",
        name=f"m-{number}",
        pricing=Pricing(input=Decimal("0.15"), output=Decimal("0.6"), source="bench"),
    )


def _snapshot(shown: tuple[ModelInfo, ...], now: datetime) -> Snapshot:
    head = SnapshotHead(
        provider="openai",
        version=snapshot_version(shown),
        model_count=len(shown),
        chunks=1,
        fetched_at=now,
        checked_at=now,
        fresh_until=now + timedelta(days=1),
        stale_until=now + timedelta(days=1),
    )
    return Snapshot(head=head, models=shown)


async def measured(house: House, kinds: tuple[Kind, ...], body: Mapping[str, Any] | None) -> None:
    """Prints a line per kind: microseconds of processor time, and the ratio to the first."""
    found: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    for kind in kinds:
        await house.ask(kind, body)
    for _ in range(ROUNDS):
        for kind in kinds:
            found[kind.name].append(await _cpu_us(partial(house.ask, kind, body)))
            house.transport.requests.clear()
            house.transport.responses.clear()
    plain = found[kinds[0].name]
    for name, values in found.items():
        print(f"{name:36}{median(values):8.0f} µs {paired(values, plain, ratio):7.2f}")


async def _cpu_us(ask: Callable[[], Awaitable[object]]) -> float:
    """Of one request, over so many."""
    gc.collect()
    began_s = time.process_time()
    for _ in range(REQUESTS):
        await ask()
    return (time.process_time() - began_s) / REQUESTS * 1e6


async def main() -> None:
    house = await House().furnish()
    await measured(house, CHATS, CHAT)
    await measured(house, LISTS, None)


if __name__ == "__main__":
    asyncio.run(main())
