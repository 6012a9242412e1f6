"""Refreshes lists: the catalogue's on schedule or when one is past its time; those of connections."""

from typing import Any

from headgate.bootstrap import Container, EventFunction


async def on_event(services: Container, event: Any) -> dict[str, str]:
    """`{"providers"?: [slug] | null, "force"?: bool}` → what became of each provider.

    `{"connections": [[user id, connection id], …]}` → what became of each connection.
    """
    if (connections := event.get("connections")) is not None:
        pairs = [(str(user_id), str(connection_id)) for user_id, connection_id in connections]
        looked = await services.connection_refresher.refresh(pairs)
        return {outcome.connection_id: outcome.outcome for outcome in looked}
    providers = event.get("providers")
    outcomes = await services.refresher.refresh(providers, force=bool(event.get("force")))
    return {outcome.provider: outcome.outcome for outcome in outcomes}


function = EventFunction("refresh", on_event)
handler = function.handler
