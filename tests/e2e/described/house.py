"""A gateway with something of everything in it, asked from outside any event loop."""

import asyncio
from typing import Any

import httpx
import requests
import schemathesis

from headgate.domain.catalog import Modality
from headgate.ports import WireRequest
from headgate.testing.memory import Answer
from tests.support.gate import Gate, dispatch, open_gate
from tests.support.models import model, priced

ENVIRON = {"HEADGATE_READ_REQUESTS_PER_MINUTE": "1000000", "HEADGATE_MOCK": "on"}
MODELS = (
    model("mock/chat", pricing=priced("1", "10"), premium=True),
    model("mock/embed", modality=Modality.EMBEDDING, pricing=priced("1", "0")),
)
MADE: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("connection_id", "connections", {"name": "mine", "type": "gemini", "api_key": "sk-hers-0123456789"}),
    ("webhook_id", "webhooks", {"url": "https://hooks.example.com/", "events": ["model.added"]}),
    ("key_id", "keys", {"user_id": "root", "name": "spare", "scopes": ["models:read"]}),
    ("generation_id", "generations", {"type": "text", "model": "mock/chat", "config": {"prompt": "hi"}}),
)
PUT: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("project_id", "projects", "film", {"owner_user_id": "root", "members": ["ann"]}),
    ("name", "flags", "new_editor", {"enabled": True}),
)


def refuse(_request: WireRequest) -> Answer:
    """What any provider but the mock says to any key."""
    return Answer(status=401)


class House:
    """there: what the description calls a part of a path, and one that stands for something."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.there: dict[str, str] = {"model_id": "mock/chat", "modality": "text"}
        self.gate = runner.run(self._furnish())

    async def _furnish(self) -> Gate:
        gate = await open_gate("alpha", models=MODELS, environ=ENVIRON)
        gate.transport.on("", refuse)
        for name, kind, body in MADE:
            made = await gate.post(f"/v2/{kind}", key="root", json=body)
            assert made.is_success, made.text
            self.there[name] = made.json()["id"]
        for name, kind, thing, body in PUT:
            put = await gate.ask("PUT", f"/v2/{kind}/{thing}", key="root", json=body)
            assert put.is_success, put.text
            self.there[name] = thing
        override = await gate.ask("PATCH", "/v2/models/mock/chat/override", key="root", json={"note": "x"})
        assert override.is_success, override.text
        return gate

    def parts_of(self, path: str) -> dict[str, str]:
        """The parts of this path, each with something that is there."""
        return {name: thing for name, thing in self.there.items() if f"{{{name}}}" in path}

    def ask(self, case: "schemathesis.Case[Any]", who: str) -> httpx.Response:
        """As it goes over the wire, with the key of `ann` or `root`."""
        kwargs = case.as_transport_kwargs(base_url="http://gate")
        kwargs["headers"]["authorization"] = f"Bearer {getattr(self.gate, who)}"
        sent = requests.Request(**{name: given for name, given in kwargs.items() if name != "timeout"})
        return self._runner.run(_send(sent.prepare()))


async def _send(sent: requests.PreparedRequest) -> httpx.Response:
    assert sent.method is not None
    assert sent.url is not None
    body = sent.body.encode() if isinstance(sent.body, str) else sent.body
    assert body is None or isinstance(body, bytes)
    headers = [(name, text) for name, text in sent.headers.items() if isinstance(text, str)]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(dispatch)) as client:
        return await client.request(sent.method, sent.url, headers=headers, content=body)
