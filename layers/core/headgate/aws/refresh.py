"""Starting the refresh function, without waiting for it."""

from collections.abc import Iterable
from typing import Any

import orjson

from headgate.aws.clients import AwsClients


class LambdaRefreshStarter:
    """Invokes `function` (name or ARN) as an event: `{"providers": ["openai"] or null, "force": false}`."""

    def __init__(self, clients: AwsClients, function: str) -> None:
        self._clients = clients
        self._function = function

    async def start(self, providers: Iterable[str] | None, *, force: bool) -> None:
        """Started twice, the second run finds the first one's leases: so the SDK may send it again."""
        named = None if providers is None else list(providers)
        await self._invoke({"providers": named, "force": force})

    async def start_connections(self, connections: Iterable[tuple[str, str]]) -> None:
        await self._invoke({"connections": [list(pair) for pair in connections]})

    async def _invoke(self, event: dict[str, Any]) -> None:
        await self._clients.call(
            "lambda",
            "invoke",
            FunctionName=self._function,
            InvocationType="Event",
            Payload=orjson.dumps(event),
        )
