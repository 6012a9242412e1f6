"""Refreshes the catalogue: on schedule, or started by `models` when it finds a list past its time."""

from typing import Any

from headgate.bootstrap import Container, EventFunction


async def on_event(services: Container, event: Any) -> dict[str, str]:
    """`{"providers"?: [slug] | null, "force"?: bool}` → what became of each provider."""
    providers = event.get("providers")
    outcomes = await services.refresher.refresh(providers, force=bool(event.get("force")))
    return {outcome.provider: outcome.outcome for outcome in outcomes}


function = EventFunction("refresh", on_event)
handler = function.handler
