"""A provider that repeats the key it was given, in every way that providers fail: nothing passes it on."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from functions.refresh import app as refresh
from headgate.container import Adapters
from headgate.domain.callers import Scope
from headgate.testing.memory import MemorySecretStore
from tests.e2e.walk.asking import Asking
from tests.e2e.walk.canaries import Canaries
from tests.e2e.walk.parrot import MOODS, Parrot
from tests.e2e.walk.routes import ROUTES, Call, calls_of
from tests.e2e.walk.things import THINGS
from tests.e2e.walk.watching import logged, witnessed
from tests.support.gate import FUNCTIONS, Gate

ROUTE = {route.name: route for route in ROUTES}
SLUGS = (
    *("openai", "anthropic", "gemini", "openrouter", "requesty", "deepseek", "huggingface"),
    *("modal", "bedrock", "custom"),
)
ASKED = (
    "POST /v1/chat/completions",
    "POST /v1/responses",
    "POST /v1/messages",
    "POST /v1/messages/count_tokens",
    "POST /v1/embeddings",
    "POST /v2/generations",
)


KEYS = {
    whose: f"{whose[:2].upper()}x7{whose}/Canary+9{whose[::-1]}W4"
    for whose in ("platform", "connection", "lent")
}


def key_of(slug: str, whose: str) -> str:
    """In the form that the provider's have."""
    return f"wk-{KEYS[whose]}:ws-{KEYS[whose]}" if slug == "modal" else KEYS[whose]


class Echoing(Gate):
    """All real providers over the real transport, each at the parrot, with keys of the platform's."""

    def __init__(self, parrot: Parrot) -> None:
        self.parrot = parrot
        urls = {f"{slug.upper()}_BASE_URL": self.address(slug) for slug in SLUGS}
        environ = {"HEADGATE_LOCAL": "1", "HEADGATE_ALLOW_UNLISTED_MODELS": "1", **urls}
        super().__init__(
            environ={**environ, "HEADGATE_REQUEST_TIMEOUT_S": "1", "HEADGATE_LOG_LEVEL": "DEBUG"}
        )
        keys = {slug: key_of(slug, "platform") for slug in SLUGS}
        self.secrets = MemorySecretStore(
            {slug: {"api_key": key, "base_url": self.address(slug)} for slug, key in keys.items()}
        )
        for function in (*FUNCTIONS.values(), refresh.function):
            function.configure(self.environ, self.adapters)

    @property
    def adapters(self) -> Adapters:
        return replace(super().adapters, transport=None, log=None, clock=None)

    def address(self, slug: str) -> str:
        return f"{self.parrot.url}/{slug}"

    async def close(self) -> None:
        for function in (*FUNCTIONS.values(), refresh.function):
            await function.services.close()
            function.configure()
        await self.parrot.close()


class Caller:
    """Somebody who calls one provider with one kind of key."""

    def __init__(self, slug: str, key: str, headers: dict[str, str], connection_id: str | None) -> None:
        self.key = key
        self.headers = headers
        self.connection_id = connection_id
        self.things = {
            **THINGS,
            "model": f"{slug}/own",
            "embedding_model": f"{slug}/own",
            "provider": slug,
            **({} if connection_id is None else {"connection_id": connection_id}),
        }

    def calls(self) -> list[Call]:
        """Whose key it is makes no difference to how answers are translated: one caller asks in all ways."""
        everything = self.connection_id is None and not self.headers
        names = ASKED if everything else ASKED[:1]
        calls = [call for name in names for call in calls_of(ROUTE[name], self.things)[:2]]
        if self.connection_id is not None:
            calls += calls_of(ROUTE["POST /v2/connections/{connection_id}/test"], self.things)
        if self.headers:
            calls += calls_of(ROUTE["GET /v2/models"], self.things)[:1]
        return [call for call in calls if "project_id" not in str(call.body)]


@pytest.fixture
def canaries() -> Canaries:
    return Canaries(**KEYS)


@pytest.fixture
async def gate() -> AsyncIterator[Echoing]:
    made = Echoing(await Parrot().open())
    yield made
    await made.close()


async def callers_of(gate: Echoing, slug: str) -> list[Caller]:
    """One who relies on the platform's key, one who lends one, one with a connection."""
    scopes = (Scope.GENERATE, Scope.MODELS_READ, Scope.CONNECTIONS)
    plain = await gate.key(*scopes, user_id="plain")
    stored = await gate.key(*scopes, user_id=f"has {slug}")
    body: dict[str, Any] = {
        "name": slug,
        "type": slug,
        "api_key": key_of(slug, "connection"),
        "base_url": gate.address(slug),
        "max_retries": 0,
    }
    made = await gate.post("/v2/connections", key=stored, json=body)
    assert made.status_code == 201, made.text
    lent = {"x-provider-key": f"{slug}={key_of(slug, 'lent')}"}
    return [
        Caller(slug, plain, {}, None),
        Caller(slug, plain, lent, None),
        Caller(slug, stored, {}, made.json()["id"]),
    ]


@pytest.mark.parametrize("mood", [*MOODS, "hangs up"])
async def test_no_failing_provider_gets_a_key_shown(mood: str, gate: Echoing, canaries: Canaries) -> None:
    asking, slots = Asking(canaries), asyncio.Semaphore(30)

    async def ask(caller: Caller, call: Call) -> None:
        async with slots:
            answer = await asking.ask(call, key=caller.key, headers=caller.headers)
            assert answer.status_code < 500 or answer.json(), answer.text

    gate.parrot.mood = mood
    callers = [caller for slug in SLUGS for caller in await callers_of(gate, slug)]
    with logged(canaries), witnessed(canaries):
        await asyncio.gather(*(ask(caller, call) for caller in callers for call in caller.calls()))
        pairs = [(c.things["provider"], c.connection_id) for c in callers if c.connection_id]
        rows = [[f"has {slug}", connection_id] for slug, connection_id in pairs]
        health = FUNCTIONS["health"].services.health
        told: list[Any] = [
            await asyncio.gather(
                refresh.on_event(refresh.function.services, {"connections": rows}),
                refresh.on_event(refresh.function.services, {"providers": None, "force": True}),
                health.check_all(force=True),
            )
        ]
        for path in ("/v2/providers/health", "/v2/models", "/v2/generations", "/v2/connections"):
            told += [(await gate.get(path, key=caller.key)).text for caller in callers]
    canaries.look("what is told of it afterwards", told)
    canaries.look("what is stored", [repr(vars(each)) for each in (gate.generations, gate.catalog_store)])
    canaries.check()
    assert {
        key_of(slug, whose) for slug in ("openai", "gemini") for whose in ("platform", "lent", "connection")
    } <= (gate.parrot.keys)
