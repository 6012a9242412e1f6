"""Asking the gateway's apps, with everything that comes back looked at."""

from collections.abc import Mapping
from typing import Any

import httpx

from tests.e2e.walk.canaries import Canaries
from tests.e2e.walk.routes import Call
from tests.support.gate import FUNCTIONS

_SHOWING = {
    "POST /v2/keys": "key",
    "POST /v2/keys/{key_id}/rotate": "key",
    "POST /v2/webhooks": "secret",
    "POST /v2/webhooks/{webhook_id}/rotate": "secret",
}
"""Routes that show what they have made this once, and the field that holds it."""


async def send(
    call: Call, *, key: str | None, headers: Mapping[str, str] | None = None
) -> tuple[httpx.Response, bytes]:
    """The answer, and its bytes as they went over the wire."""
    given = dict(headers or {})
    if key is not None:
        given.setdefault("authorization", f"Bearer {key}")
    app = FUNCTIONS[call.route.function].app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gate") as client:
        asked = client.stream(call.route.method, call.path, headers=given, json=call.body)
        async with asked as answer:
            raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    return httpx.Response(answer.status_code, headers=answer.headers, content=raw), raw


class Asking:
    """Asks, and looks for canaries in the head and body of every answer.

    A secret that an answer is to show is none to be found there; from then on it is one.
    """

    def __init__(self, canaries: Canaries) -> None:
        self.canaries = canaries
        self.answers = 0
        self.statuses: dict[str, set[int]] = {}

    async def ask(
        self, call: Call, *, key: str | None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        answer, raw = await send(call, key=key, headers=headers)
        self.answers += 1
        self.statuses.setdefault(call.route.name, set()).add(answer.status_code)
        where = f"the answer ({answer.status_code}) to {call.route.method} {call.path}"
        shown = self._shown(call, answer)
        if shown is not None:
            raw = answer.content.replace(shown.encode(), b"")
        self.canaries.look(where, raw, [f"{name}: {value}" for name, value in answer.headers.multi_items()])
        if shown is not None and shown not in self.canaries.secrets.values():
            self.canaries.add(f"shown by {call.route.name}", shown)
        return answer

    def _shown(self, call: Call, answer: httpx.Response) -> str | None:
        field = _SHOWING.get(call.route.name)
        if field is None or not answer.is_success:
            return None
        shown: Any = answer.json()[field]
        return str(shown)
