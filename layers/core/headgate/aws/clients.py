"""The AWS SDK's clients, built when they are first used, and called off the event loop.

boto3 takes some 300 ms to import and each further client 10 ms, so neither happens when a module is imported.
"""

import asyncio
import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from headgate.aws.faults import translated

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.client import BaseClient

OnCall = Callable[[str, str, Mapping[str, Any]], None]
"""Told of each call before it is sent: service, operation (`get_item`), parameters."""

_THREADS = 16
_CONNECTIONS = 50
_LONGEST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsTuning:
    """Bounds of one call.

    max_attempts: how often the SDK sends it in all, when it is throttled or gets lost. base_pause_s: the
    first pause, before jitter, when DynamoDB left part of a batch undone or a transaction met another.
    """

    connect_timeout_s: float = 2.0
    read_timeout_s: float = 5.0
    max_attempts: int = 3
    base_pause_s: float = 0.05


class AwsClients:
    """One client per service, for the whole process. Safe to use from any thread and loop.

    endpoint_url: for all services, None for AWS itself; endpoints: by service, where one differs.
    """

    def __init__(
        self,
        *,
        region: str,
        endpoint_url: str | None = None,
        endpoints: Mapping[str, str | None] | None = None,
        tuning: AwsTuning | None = None,
        on_call: OnCall | None = None,
    ) -> None:
        self._region = region
        self._endpoint_url = endpoint_url
        self._endpoints = endpoints or {}
        self._tuning = tuning or AwsTuning()
        self._on_call = on_call
        self._session: Session | None = None
        self._clients: dict[str, BaseClient] = {}
        self._building = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="headgate-aws")

    async def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        """The answer of `operation` (`get_item`) with the service's own parameter names.

        Raises GatewayFault, and what `faults.translated` names for answers which mean something.
        """
        if self._on_call is not None:
            self._on_call(service, operation, params)
        return await self.run(self._call, service, operation, params)

    async def warm(self, *services: str) -> None:
        """Builds these clients now, so that the first call does not wait for it."""
        for service in services:
            await self.run(self._build, service)

    async def run[**P, T](self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Does work that would hold up the loop in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *args, **kwargs))

    async def pause(self, tries: int) -> None:
        """Waits before what was not taken is sent again: full jitter, doubling with `tries` up to 1 s."""
        longest_s = min(_LONGEST_PAUSE_S, self._tuning.base_pause_s * 2.0**tries)
        await asyncio.sleep(random.random() * longest_s)  # noqa: S311 - jitter, no secret

    def close(self) -> None:
        """Ends the threads and connections; calls after this fail."""
        self._pool.shutdown(wait=True)
        for client in self._clients.values():
            client.close()

    def _call(self, service: str, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        with translated(service):
            client = self._clients.get(service) or self._build(service)
            answer: dict[str, Any] = getattr(client, operation)(**params)
            return answer

    def _build(self, service: str) -> "BaseClient":
        from boto3.session import Session  # noqa: PLC0415 - slow to import
        from botocore.config import Config  # noqa: PLC0415 - slow to import

        tuning = self._tuning
        config = Config(
            region_name=self._region,
            connect_timeout=tuning.connect_timeout_s,
            read_timeout=tuning.read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": tuning.max_attempts},
            tcp_keepalive=True,
            max_pool_connections=_CONNECTIONS,
        )
        # A session is not safe to build two clients from at once; the clients are safe to call.
        with self._building:
            if service not in self._clients:
                self._session = self._session or Session(region_name=self._region)
                url = self._endpoints.get(service) or self._endpoint_url
                client: BaseClient = self._session.client(service, endpoint_url=url, config=config)  # type: ignore[call-overload]
                self._clients[service] = client
            return self._clients[service]
