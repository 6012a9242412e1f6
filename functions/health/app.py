"""Providers and their health over HTTP; the scheduled checks; the description of the API."""

from typing import Any

from headgate.bootstrap import Container, HttpFunction
from headgate.http.routes import health


async def on_event(services: Container, event: Any) -> dict[str, str]:
    """`{"task": "check_health"}`, from the schedule → each provider's status."""
    del event
    return {row.provider: row.status.value for row in await services.health.check_all(force=True)}


function = HttpFunction("health", [health.router], buffered=True, on_event=on_event)
app = function.app
handler = function.handler
