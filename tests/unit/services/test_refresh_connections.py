"""Reading what connections' own keys see."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from functions.refresh import app as refresh
from headgate.container import Container
from headgate.domain.audit import AuditEvent, audit_event
from headgate.domain.connections import Connection, key_context
from headgate.domain.errors import GatewayFault, ProviderFailed
from headgate.domain.secret import Secret
from headgate.ports import ConnectionModels, WireRequest
from headgate.testing.clock import START
from headgate.testing.memory import Answer
from tests.support.bench import Bench
from tests.support.models import model
from tests.support.provider import CRASH, listing

KEYS = {"con_1": "sk-one-0123456789", "con_2": "sk-two-0123456789"}


class Lists(Bench):
    """Ada's connections to `alpha`, whose keys see different lists."""

    def __init__(self) -> None:
        super().__init__("alpha", environ={"HEADGATE_MODELS_DEV_URL": "", "HEADGATE_GENAI_PRICES_URL": ""})
        self.services: Container = self.process("refresh")

    async def connect(self, connection_id: str, **fields: Any) -> Connection:
        row = Connection(
            **{
                "id": connection_id,
                "user_id": "ada",
                "name": connection_id,
                "type": "alpha",
                "created_at": START,
                "updated_at": START,
                **fields,
            }
        )
        sealed = await self.vault.seal(Secret(KEYS[connection_id]), key_context(row))
        row = replace(row, sealed=sealed)
        event = audit_event(at=START, actor="x", action="x", target="x")
        await self.connections.create(row, event)
        return row

    async def refresh(self, *pairs: tuple[str, str]) -> dict[str, str]:
        told: dict[str, str] = await refresh.on_event(
            self.services, {"connections": [list(pair) for pair in pairs]}
        )
        return told

    async def kept(self, connection_id: str) -> ConnectionModels | None:
        row = (await self.connections.load("ada")).find(connection_id)
        assert row is not None
        return (await self.connections.read_lists([row])).get(connection_id)

    async def names(self, connection_id: str) -> list[str]:
        found = await self.kept(connection_id)
        assert found is not None
        return [each.id for each in found.models]

    async def attention(self, connection_id: str) -> str | None:
        row = (await self.connections.load("ada")).find(connection_id)
        assert row is not None
        return row.needs_attention


def bearer(request: WireRequest) -> str:
    return request.headers["authorization"].reveal()  # type: ignore[union-attr]


@pytest.fixture
def lists() -> Lists:
    made = Lists()
    made.transport.on("/key", Answer(body=b"{}")).on("/models", listing(model("alpha/m")))
    return made


async def test_each_list_is_read_with_the_connection_s_own_key(lists: Lists) -> None:
    def seen(request: WireRequest) -> Answer:
        number = "one" if KEYS["con_1"] in bearer(request) else "two"
        return listing(model(f"alpha/{number}"))

    lists.transport.on("/models", seen)
    for connection_id in KEYS:
        await lists.connect(connection_id)
    told = await lists.refresh(("ada", "con_1"), ("ada", "con_2"))
    assert told == {"con_1": "updated", "con_2": "updated"}
    assert await lists.names("con_1") == ["alpha/one"]
    assert await lists.names("con_2") == ["alpha/two"]
    assert {bearer(request) for request in lists.transport.requests} == {
        f"Bearer {key}" for key in KEYS.values()
    }


async def test_what_a_key_sees_stays_out_of_the_shared_catalogue(lists: Lists) -> None:
    await lists.connect("con_1")
    await lists.refresh(("ada", "con_1"))
    assert await lists.catalog_store.read_heads() == {}


async def test_a_look_of_a_moment_ago_is_not_repeated(lists: Lists) -> None:
    await lists.connect("con_1")
    await lists.refresh(("ada", "con_1"))
    sent = len(lists.transport.requests)
    assert await lists.refresh(("ada", "con_1"), ("ada", "con_1")) == {"con_1": "fresh"}
    assert len(lists.transport.requests) == sent
    lists.clock.advance(61)
    assert await lists.refresh(("ada", "con_1")) == {"con_1": "updated"}


async def test_a_new_key_is_looked_at_at_once(lists: Lists) -> None:
    row = await lists.connect("con_1")
    await lists.refresh(("ada", "con_1"))
    sealed = await lists.vault.seal(Secret(KEYS["con_2"]), key_context(row))
    event = audit_event(at=START, actor="x", action="x", target="x")
    await lists.connections.replace(replace(row, sealed=sealed, revision=2), event)
    assert await lists.kept("con_1") is None
    assert await lists.refresh(("ada", "con_1")) == {"con_1": "updated"}
    assert await lists.names("con_1") == ["alpha/m"]


async def test_of_looks_at_one_at_once_one_is_made(lists: Lists) -> None:
    await lists.connect("con_1")
    asked, waits = asyncio.Event(), asyncio.Event()
    slow = listing(model("alpha/m"))

    def answer(_request: WireRequest) -> Answer:
        asked.set()
        return replace(slow, pieces=(waits, slow.body))

    lists.transport.on("/models", answer)
    first = asyncio.create_task(lists.refresh(("ada", "con_1")))
    await asked.wait()
    assert await lists.refresh(("ada", "con_1")) == {"con_1": "busy"}
    waits.set()
    assert await first == {"con_1": "updated"}
    assert sum("/models" in request.url for request in lists.transport.requests) == 1


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (Answer(status=503), "provider_overloaded"),
        (ProviderFailed("no"), "provider_unavailable"),
        (CRASH, "internal"),
        (Answer(body=b"{"), "internal"),
        (listing(dropped=("bad entry",)), "provider_protocol"),
    ],
)
async def test_the_last_good_list_outlives_a_failure_and_tells_of_it(
    lists: Lists, step: Any, code: str
) -> None:
    await lists.connect("con_1")
    await lists.refresh(("ada", "con_1"))
    lists.clock.advance(3_600)
    lists.transport.on("/models", step)
    assert await lists.refresh(("ada", "con_1")) == {"con_1": "failed"}
    kept = await lists.kept("con_1")
    assert kept is not None
    assert (kept.error or "").startswith(code)
    assert [each.id for each in kept.models] == ["alpha/m"]
    assert await lists.attention("con_1") is None
    lists.transport.on("/models", listing(model("alpha/new")))
    assert await lists.refresh(("ada", "con_1")) == {"con_1": "updated"}
    kept = await lists.kept("con_1")
    assert kept is not None
    assert (kept.error, [each.id for each in kept.models]) == (None, ["alpha/new"])


async def test_a_refused_key_is_noted_though_its_list_is_shown_to_anyone(lists: Lists) -> None:
    await lists.connect("con_1")
    lists.transport.on("/key", Answer(status=401, body=f"bad {KEYS['con_1']}".encode()))
    assert await lists.refresh(("ada", "con_1")) == {"con_1": "failed"}
    assert await lists.attention("con_1")
    kept = await lists.kept("con_1")
    assert kept is not None
    assert (kept.error or "").startswith("provider_auth")
    assert KEYS["con_1"] not in repr(kept)
    assert KEYS["con_1"] not in repr(lists.log.entries)
    lists.transport.on("/key", Answer(body=b"{}"))
    assert await lists.refresh(("ada", "con_1")) == {"con_1": "updated"}
    assert await lists.attention("con_1") is None


async def test_a_deleted_or_unknown_one_is_left_alone(lists: Lists) -> None:
    row = await lists.connect("con_1")
    event = audit_event(at=START, actor="x", action="x", target="x")
    await lists.connections.replace(replace(row, is_active=False, revision=2), event)
    told = await lists.refresh(("ada", "con_1"), ("grace", "con_1"), ("ada", "con_9"))
    assert set(told.values()) == {"gone"}
    assert lists.transport.requests == []
    assert lists.vault.unsealed == []


async def test_one_that_fails_takes_no_other_along(lists: Lists) -> None:
    for connection_id in KEYS:
        await lists.connect(connection_id)

    def seen(request: WireRequest) -> Answer:
        return Answer(status=500) if KEYS["con_1"] in bearer(request) else listing(model("alpha/m"))

    lists.transport.on("/models", seen)
    told = await lists.refresh(("ada", "con_1"), ("ada", "con_2"))
    assert told == {"con_1": "failed", "con_2": "updated"}


async def test_a_store_that_is_away_fails_each_and_leaves_no_lease(lists: Lists) -> None:
    await lists.connect("con_1")
    lists.connections.fault = GatewayFault.unavailable("The store")
    assert await lists.refresh(("ada", "con_1")) == {"con_1": "failed"}
    lists.connections.fault = None
    assert await lists.refresh(("ada", "con_1")) == {"con_1": "updated"}


async def told(lists: Lists) -> list[AuditEvent]:
    events = await lists.accounts.read_audit(after=None, limit=100)
    wanted = [event for event in events if event.action in ("connection.list", "connection.decrypt")]
    return sorted(wanted, key=lambda event: event.action)


async def test_every_look_is_in_the_audit_log_with_the_decryption_it_took() -> None:
    lists = Lists()
    then: set[str] = set()

    def answer(_request: WireRequest) -> Answer:
        then.update(event.action for event in lists.accounts._events.values())
        return Answer(body=b"{}")

    lists.transport.on("/key", answer).on("/models", listing(model("alpha/m")))
    await lists.connect("con_1")
    await lists.refresh(("ada", "con_1"))
    assert {"connection.list", "connection.decrypt"} <= then  # told before the key was used
    decrypt, look = await told(lists)
    for event in (decrypt, look):
        assert (event.actor, event.target, event.user_id) == ("refresh", "con_1", "ada")
    assert dict(decrypt.details) == {"provider": "alpha", "outcome": "ok"}
    assert decrypt.at == lists.clock.now()


async def test_a_key_still_in_memory_is_not_told_as_decrypted_again(lists: Lists) -> None:
    await lists.connect("con_1")
    await lists.refresh(("ada", "con_1"))
    lists.clock.advance(61)
    await lists.refresh(("ada", "con_1"))
    assert [event.action for event in await told(lists)] == ["connection.decrypt"] + ["connection.list"] * 2


async def test_a_key_that_the_vault_refuses_is_told_and_noted(lists: Lists) -> None:
    row = await lists.connect("con_1")
    moved = replace(row, base_url="https://elsewhere.example", revision=2)
    await lists.connections.replace(moved, audit_event(at=START, actor="x", action="x", target="x"))
    assert await lists.refresh(("ada", "con_1")) == {"con_1": "failed"}
    assert [event.details.get("outcome") for event in await told(lists)] == ["refused", None]
    assert lists.transport.requests == []
    assert await lists.attention("con_1")


async def test_a_look_that_can_t_be_told_is_not_made_and_leaves_the_list_as_it_is(lists: Lists) -> None:
    await lists.connect("con_1")
    lists.accounts.fault = GatewayFault.unavailable("The store")
    assert await lists.refresh(("ada", "con_1")) == {"con_1": "failed"}
    lists.accounts.fault = None
    assert lists.transport.requests == []
    assert await lists.kept("con_1") is None
    (entry,) = lists.log.named("decrypt.untold")
    assert (entry.fields["connection_id"], entry.fields["outcome"], entry.fields["actor"]) == (
        ("con_1", "ok", "refresh")
    )
