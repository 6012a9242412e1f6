"""Keys through the whole stack on moto: what was answered, logged, raised and stored shows none."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dev import resources
from dev.backing import MotoBacking
from dev.environment import LocalConfig, function_environment, provider_secrets
from dev.stream import Position, TableStream
from dev.template import Stack, read_stack
from functions.accounts import app as accounts
from functions.health import app as health
from functions.refresh import app as refresh
from functions.sweep import app as sweep
from functions.usage import app as usage
from headgate.bootstrap import Function
from headgate.domain.callers import Scope
from tests.e2e.walk.asking import Asking
from tests.e2e.walk.canaries import Canaries
from tests.e2e.walk.parrot import Parrot
from tests.e2e.walk.routes import ROUTES, STREAMING, Call, calls_of, whole_walk
from tests.e2e.walk.things import THINGS
from tests.e2e.walk.watching import logged, witnessed
from tests.support.gate import FUNCTIONS

ROOT = Path(__file__).parents[3]
PLATFORM, CONNECTION, LENT = (
    "Pq7xZtplatform+Canary/81aB9",
    "Cv3kRwconnect+Canary/52cD7",
    "Lm9fYhlent+Canary/64eF5",
)
HOOK = "/in/a-path-of-its-owner"
TOLD = "Nw5bGsthrough-a-field+Canary/93gH2"
ROUTE = {route.name: route for route in ROUTES}
EVENTS: Mapping[str, Function] = {each.function.name: each.function for each in (refresh, sweep, usage)}


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoBacking]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in resources.aws_environment().items():
            patch.setenv(name, value)
        backing = MotoBacking()
        try:
            yield backing
        finally:
            backing.close()


class Deployed:
    """Every function on moto, with the environment that the template gives it."""

    def __init__(self, moto: MotoBacking, parrot: Parrot, asking: Asking) -> None:
        self.moto = moto
        self.parrot = parrot
        self.asking = asking
        self.stack: Stack = read_stack((ROOT / "template.yaml").read_text(), {"DeletionProtection": "false"})
        self.things = {**THINGS, "api_key": CONNECTION, "user_id": "ann"}
        self.admin = self.ann = ""

    async def open(self) -> "Deployed":
        keys = {"OPENAI_API_KEY": PLATFORM, "OPENAI_BASE_URL": f"{self.parrot.url}/v1"}
        settings = {
            "HEADGATE_MOCK": "off",
            "HEADGATE_MODELS_DEV_URL": "",
            "HEADGATE_GENAI_PRICES_URL": "",
            "HEADGATE_CREDITS": "enforced",
            "HEADGATE_LOG_LEVEL": "DEBUG",
            "HEADGATE_HEAD_CHECK_S": "0",
        }
        config = LocalConfig(settings=settings, provider_environ=keys)
        await self.moto.open(self.stack, await provider_secrets(keys, ["openai"]))
        aws = self.moto.environment()
        specs = {spec.logical_id.lower().removesuffix("function"): spec for spec in self.stack.functions}
        for name, function in {**FUNCTIONS, **EVENTS}.items():
            environ = function_environment(specs[name], config, aws)
            function.configure({**environ, "HEADGATE_REFRESH_FUNCTION": ""})
        made = await accounts.on_event(accounts.function.services, {"action": "mint_admin_key"})
        self.admin = made["key"]
        self.asking.canaries.add("the administrator's key", self.admin)
        return self

    async def close(self) -> None:
        for function in {**FUNCTIONS, **EVENTS}.values():
            services = function.services
            await services.close()
            services.aws.close()
            function.configure()
        await self.parrot.close()

    async def ask(self, name: str, *, key: str, which: int = 0, lent: str | None = None, **more: str) -> Any:
        """The JSON of one example of this route, with an idempotency key, asked twice alike."""
        call = calls_of(ROUTE[name], self.things)[which]
        headers = {"idempotency-key": f"{name} {which} {key[-4:]}", **more}
        first, again = [await self.asking.ask(call, key=key, headers=headers) for _ in range(2)]
        assert first.status_code == again.status_code == 201, (name, first.text, again.text)
        return first.json()

    async def furnish(self) -> None:
        """What there is to be read, changed and removed: all made through the routes."""
        scoped = Call(
            route=ROUTE["POST /v2/keys"],
            path="/v2/keys",
            body={"user_id": "ann", "name": "x", "scopes": ["models:read", "generate", "connections"]},
        )
        self.ann = (await self.asking.ask(scoped, key=self.admin)).json()["key"]
        self.things["key_id"] = (await self.ask("POST /v2/keys", key=self.admin))["id"]
        await self.ask("POST /v2/credits/grants", key=self.admin)
        hook = {"url": f"{self.parrot.url}{HOOK}", "events": ["generation.*"]}
        new = replace(calls_of(ROUTE["POST /v2/webhooks"], self.things)[0], body=hook)
        self.things["webhook_id"] = (await self.asking.ask(new, key=self.ann)).json()["id"]
        call = calls_of(ROUTE["POST /v2/connections"], self.things)[0]
        body = {**(call.body or {}), "base_url": f"{self.parrot.url}/v1"}
        made = [
            await self.asking.ask(
                replace(call, body=body), key=self.ann, headers={"idempotency-key": "the connection"}
            )
            for _ in range(2)
        ]
        assert made[0].content == made[1].content
        self.things["connection_id"] = made[0].json()["id"]
        self.things["generation_id"] = (
            await self.asking.ask(calls_of(ROUTE["POST /v2/generations"], self.things)[0], key=self.ann)
        ).json()["id"]

    async def happen(self) -> None:
        """What happens by itself: lists are read, keys checked, the overdue ended, uses counted."""
        pair = ["ann", self.things["connection_id"]]
        told = [
            await refresh.on_event(refresh.function.services, {"providers": None, "force": True}),
            await refresh.on_event(refresh.function.services, {"connections": [pair]}),
            await health.on_event(health.function.services, {}),
            await sweep.on_event(sweep.function.services, {}),
            await usage.on_event(usage.function.services, {"Records": await asyncio.to_thread(self.stream)}),
        ]
        self.asking.canaries.look("what an event function answers", told)

    def stream(self) -> list[dict[str, Any]]:
        """All that came by on the tables' streams."""
        url = self.moto.environment()["AWS_ENDPOINT_URL"]
        tables = [spec.table for function in self.stack.functions for spec in function.streams]
        dynamodb, streams = (resources.client(name, url) for name in ("dynamodb", "dynamodbstreams"))
        records = [r for t in tables for r in TableStream(dynamodb, streams, t).read(Position(), 10_000)]
        dynamodb.close()
        streams.close()
        return records

    def items(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Everything stored, by table."""
        client = resources.client("dynamodb", self.moto.environment()["AWS_ENDPOINT_URL"])
        for table in self.stack.tables:
            for page in client.get_paginator("scan").paginate(TableName=table.physical_name):
                for item in page["Items"]:
                    yield table.physical_name, item
        client.close()


@pytest.fixture
async def canaries() -> Canaries:
    return Canaries(platform=PLATFORM, connection=CONNECTION, lent=LENT, told=TOLD)


@pytest.fixture
async def deployed(moto: MotoBacking, canaries: Canaries) -> AsyncIterator[Deployed]:
    made = await Deployed(moto, await Parrot().open(), Asking(canaries)).open()
    yield made
    await made.close()


async def test_no_key_shows_anywhere_in_the_stack(
    deployed: Deployed, canaries: Canaries, capfd: pytest.CaptureFixture[str]
) -> None:
    asking, parrot = deployed.asking, deployed.parrot
    with ExitStack() as stack:
        records = stack.enter_context(logged(canaries))
        witness = stack.enter_context(witnessed(canaries))
        await deployed.furnish()
        await deployed.happen()
        lent = {"x-provider-key": f"openai={LENT}"}
        failing = [call for call in whole_walk(deployed.things) if _meets_a_provider(call)]
        for mood in ("fine", "401", "a stream that breaks"):
            parrot.mood = mood
            for number, call in enumerate(failing):
                for key, headers in ((deployed.admin, {}), (deployed.ann, {}), (deployed.ann, lent)):
                    repeats = {"idempotency-key": f"{mood} {number} {len(headers)}"}
                    await asking.ask(call, key=key, headers={**headers, **repeats})
        await deployed.happen()
        parrot.mood = "fine"
        for call in whole_walk(deployed.things):
            keys = (deployed.ann, deployed.admin) if call.route.scope is Scope.ADMIN else (deployed.ann,)
            for key in keys:
                await asking.ask(call, key=key, headers=lent)
        await deployed.happen()
    items = list(deployed.items())
    for table, item in items:
        canaries.look(f"an item of {table}, {json.dumps([item['pk'], item['sk']])}", item)
    canaries.look("standard output and error", *capfd.readouterr())
    canaries.check()
    assert {PLATFORM, CONNECTION, LENT} <= parrot.keys
    signed = [asked for asked in parrot.asked if "webhook-signature" in asked.headers]
    assert {asked.path for asked in signed} == {HOOK}
    assert any(" v1," in asked.headers["webhook-signature"] for asked in signed), "none was rotated before"
    assert len(items) > 100
    assert {table.physical_name for table in deployed.stack.tables} == {table for table, _ in items}
    assert min(records.count, witness.reprs, len(witness.exceptions)) > 50


def _meets_a_provider(call: Call) -> bool:
    name = call.route.name
    return name in STREAMING or name.endswith("/test") or name in _CALLING


_CALLING = {
    "POST /v1/messages/count_tokens",
    "POST /v1/embeddings",
    "POST /v2/generations",
    "POST /v2/generations/explain",
    "GET /v2/models",
}
