"""Ends generations that nothing ended, on schedule."""

from dataclasses import asdict
from typing import Any

from headgate.bootstrap import Container, EventFunction


async def on_event(services: Container, event: Any) -> dict[str, int]:
    """`{"task": "sweep"}`, from the schedule → how many were ended, and what they had held; how many could
    not be, which the next run tries again."""
    del event
    return asdict(await services.sweeper.sweep())


function = EventFunction("sweep", on_event)
handler = function.handler
