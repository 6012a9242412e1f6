"""Counts finished generations, from the stream of their table: usage, providers' traffic, uses of keys."""

from dataclasses import asdict
from typing import Any

from headgate.aws.streams import records_of
from headgate.bootstrap import Container, EventFunction


async def on_event(services: Container, event: Any) -> dict[str, int]:
    """A DynamoDB stream batch → how many generations were new, their attempts, the uses of keys told."""
    return asdict(await services.usage_recorder.record(records_of(event)))


function = EventFunction("usage", on_event)
handler = function.handler
