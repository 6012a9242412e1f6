"""Two users who have one of everything, and what each may see."""

import re
from typing import Any

import httpx

from headgate.codec import snapshot_version
from headgate.domain.accounts import Project
from headgate.domain.callers import Scope
from headgate.domain.connections import Connection
from headgate.ports import ConnectionModels
from headgate.services.acts import Act
from headgate.testing.memory import Answer
from tests.e2e.walk.asking import send
from tests.e2e.walk.routes import ROUTES, Call
from tests.e2e.walk.things import THINGS
from tests.support.gate import FUNCTIONS, Gate
from tests.support.models import model, priced
from tests.support.provider import listing, said

SCOPES = (Scope.MODELS_READ, Scope.GENERATE, Scope.CONNECTIONS)
ROUTE = {route.name: route for route in ROUTES}
_MOVING = ("server-timing", "x-request-id", "request-id", "content-length", "x-headgate-generation-id")
_DRAWN = re.compile(
    r"\b(gen|req|evt|whk|con|key)_[0-9A-Za-z]{8,}|\b(whsec)_[A-Za-z0-9+/=]+|(\"cache_hit\"):\w+"
)
MISSING = {
    "user_id": "zoe-who-is-not",
    "connection_id": "con_01nobody0000000000",
    "webhook_id": "whk_01nobody0000000000",
    "key_id": "key_01nobody0000000000",
    "project_id": "zoes-project",
    "generation_id": "gen_01nobody0000000000",
    "model_id": "alpha/zoes-own",
}
"""Ids that nothing has, as long as those of things."""


class Neighbour:
    """A user: `mark` is in the name of everything that is theirs, and nowhere else."""

    def __init__(self, name: str) -> None:
        self.mark = f"{name}s-"
        self.name = f"{name}s-user"
        self.key = self.spare = ""
        self.things = dict(THINGS)

    @property
    def marks(self) -> list[str]:
        """What would tell of something of theirs: names, and the ids that were drawn."""
        drawn = ("connection_id", "webhook_id", "key_id", "generation_id")
        return [self.mark, *(self.things[name] for name in drawn)]


class Street(Gate):
    """Ann and Bob, neighbours on one gateway; Cat is in Ann's project. Open it with `open_street`."""

    def __init__(self) -> None:
        super().__init__("alpha", "beta", environ={"HEADGATE_CREDITS": "enforced"})
        self.one, self.two = Neighbour("ann"), Neighbour("bob")
        self.cat = ""

    async def open(self) -> "Street":
        for function in FUNCTIONS.values():
            self.register(function.services)
        self.root = await self.key(*Scope, user_id="root")
        self.cat = await self.key(*SCOPES, user_id="cat")
        shared = [model("alpha/m", pricing=priced("1", "1")), model("beta/m", pricing=priced("1", "1"))]
        await self.show(*shared)
        for slug in ("alpha", "beta"):
            self.transport.on(f"https://{slug}.example/chat", said(f"said by {slug}"))
            self.transport.on(f"https://{slug}.example/key", listing())
            self.transport.on(f"https://{slug}.example/models", listing(model(f"{slug}/m")))
        self.transport.on("-hook.example", Answer(204))
        for neighbour in (self.one, self.two):
            await self._furnish(neighbour)
        self.clock.advance(120)
        return self

    async def _furnish(self, whose: Neighbour) -> None:
        things, mark = whose.things, whose.mark
        whose.key = await self.key(*SCOPES, user_id=whose.name)
        things |= {
            "user_id": whose.name,
            "provider": "alpha",
            "model": "alpha/m",
            "embedding_model": "alpha/m",
        }
        things |= {"project_id": f"{mark}project", "model_id": f"alpha/{mark}own", "name": "a-flag"}
        act = Act(actor="walk", at=self.clock.now())
        members = ("cat",) if whose is self.one else ()
        await self.accounts.put_project(
            Project(
                id=things["project_id"],
                owner_user_id=whose.name,
                members=members,
                created_at=act.at,
                updated_at=act.at,
            ),
            act.event("project.put", things["project_id"]),
        )
        spare = {"user_id": whose.name, "name": f"{mark}key", "scopes": ["generate", "models:read"]}
        made = await self._made("POST /v2/keys", spare, key=self.root)
        things["key_id"], whose.spare = made["id"], made["key"]
        money = {"amount": "5", "currency": "USD"}
        grant = {"user_id": whose.name, "amount": money, "reason": f"{mark}reason"}
        await self._made("POST /v2/credits/grants", grant, key=self.root)
        new = {"name": f"{mark}connection", "type": "alpha", "api_key": f"{mark}connection-key"}
        things["connection_id"] = (await self._made("POST /v2/connections", new, key=whose.key))["id"]
        hook = {"url": f"https://{mark}hook.example/in", "events": ["generation.succeeded"]}
        things["webhook_id"] = (await self._made("POST /v2/webhooks", hook, key=whose.key))["id"]
        row = (await self.connections.load(whose.name)).find(things["connection_id"])
        assert isinstance(row, Connection)
        seen = (model(f"alpha/{mark}own"), model("alpha/m", pricing=priced("1", "1")))
        await self.connections.write_list(
            row,
            ConnectionModels(
                connection_id=row.id,
                version=snapshot_version(seen),
                checked_at=self.clock.now(),
                models=seen,
            ),
        )
        wanted = {"default_models": {"text": f"alpha/{mark}own"}}
        for path in ("/v2/settings", f"/v2/settings?project_id={things['project_id']}"):
            assert (await self.ask("PUT", path, key=whose.key, json=wanted)).status_code == 200
        once = {"idempotency-key": "the very same"}
        labelled = ("alpha/m", {"scene_id": f"{mark}scene"}, once)
        for name, metadata, headers in (labelled, ("beta/m", {"project_id": things["project_id"]}, {})):
            asked = {"type": "text", "model": name, "config": {"prompt": "hi"}, "metadata": metadata}
            made = await self._made("POST /v2/generations", asked, key=whose.key, status=200, headers=headers)
            things["generation_id"] = made["id"]
            self.clock.advance(1)
        found, _ = await self.generations.list_by_owner(whose.name, filters={}, limit=10, cursor=None)
        await self.usage.count_usage(found)

    async def _made(
        self, name: str, body: dict[str, Any], *, key: str, status: int = 201, headers: Any = None
    ) -> dict[str, Any]:
        route = ROUTE[name]
        answer = await self.ask(route.method, route.path, key=key, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def told(self, call: Call, key: str | None, **headers: str) -> httpx.Response:
        return (await send(call, key=key, headers=headers))[0]


async def open_street() -> Street:
    return await Street().open()


def plain(answer: httpx.Response, things: dict[str, str]) -> tuple[Any, ...]:
    """The answer without what differs each time, and without the names it was asked with."""
    text = answer.text
    for value in sorted((things[name] for name in MISSING), key=len, reverse=True):
        text = text.replace(value, "<named>")
    headers = {name: value for name, value in answer.headers.items() if name not in _MOVING}
    return answer.status_code, sorted(headers.items()), _DRAWN.sub(r"\1\2\3 <drawn>", text)
