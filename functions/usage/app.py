"""Counts finished generations, from the stream of their table, into each provider's traffic."""

from typing import Any

from headgate.aws.streams import records_of
from headgate.bootstrap import Container, EventFunction


async def on_event(services: Container, event: Any) -> dict[str, int]:
    """A DynamoDB stream batch → how many attempts were counted."""
    return {"attempts": await services.traffic.record(records_of(event))}


function = EventFunction("usage", on_event)
handler = function.handler
