"""API keys over HTTP; and, for whoever may invoke the function itself, the administrator's first key."""

from typing import Any

from headgate.bootstrap import Container, HttpFunction
from headgate.domain.errors import InvalidRequest
from headgate.domain.secret import Secret
from headgate.http.routes import accounts


async def on_event(services: Container, event: Any) -> dict[str, Any]:
    """`{"action": "mint_admin_key", "user_id"?: …, "name"?: …}` → `{"id", "key", "user_id"}`.

    API Gateway can't make such an event: what comes through it always is an HTTP request. `key` is taken only
    in the local runner, where a person chose the text.
    """
    if event.get("action") != "mint_admin_key":
        raise InvalidRequest.of_field("action", "must be mint_admin_key.")
    chosen = event.get("key") if services.settings.local else None
    key, text = await services.keys.mint_admin(
        user_id=str(event.get("user_id") or "admin"),
        name=str(event.get("name") or "Administrator"),
        text=Secret(chosen) if chosen else None,
    )
    return {"id": key.id, "key": text.reveal(), "user_id": key.user_id}


function = HttpFunction("accounts", [accounts.router], buffered=True, on_event=on_event)
app = function.app
handler = function.handler
