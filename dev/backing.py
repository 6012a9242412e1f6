"""What stands in for AWS: moto in a process of its own, or stores in this one."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

from dev import resources
from dev.moto import Moto
from dev.stream import StreamConsumer, TableStream, follow
from dev.template import Stack, StreamSpec
from headgate.bootstrap import Adapters
from headgate.domain.generation import GenerationRecord
from headgate.services.record_traffic import TrafficRecorder
from headgate.services.record_usage import UsageRecorder
from headgate.testing import memory
from headgate.testing.refresh import RunConnections, RunRefresh

type Invoke = Callable[[str, bytes], Awaitable[bytes]]
type Report = Callable[[str, str], None]
type Work = Callable[[], Awaitable[None]]

_SECRET_PREFIX = "headgate/"
_BATCH_PAUSE_S = 0.5
_SLICE = 50


class Backing(Protocol):
    """Where functions keep things. `open` comes first, `close` last and at any time."""

    @property
    def name(self) -> str: ...

    @property
    def adapters(self) -> Adapters | None:
        """The stores that functions get; None where they reach AWS's interfaces over the network."""
        ...

    async def open(self, stack: Stack, secrets: Mapping[str, Mapping[str, str]]) -> None:
        """Makes the stack's tables and keys, and the platform's secrets (fields by slug)."""
        ...

    def environment(self) -> dict[str, str]:
        """What boto3 in a function needs to get there."""
        ...

    def followers(self, stack: Stack, invoke: Invoke, report: Report) -> Mapping[str, Work]:
        """Endless work, by name: each table stream that a function follows. It may be begun again."""
        ...

    def is_alive(self) -> bool: ...

    def close(self) -> None: ...


class MotoBacking:
    """Tables, streams, keys and secrets in a moto process, reached as AWS is reached."""

    adapters: Adapters | None = None

    def __init__(self) -> None:
        self.name = "moto"
        self._moto = Moto.start()

    async def open(self, stack: Stack, secrets: Mapping[str, Mapping[str, str]]) -> None:
        url = await self._moto.ready()
        self.name = f"moto at {url} (process {self._moto.pid})"
        await asyncio.to_thread(self._fill, url, stack, secrets)

    def _fill(self, url: str, stack: Stack, secrets: Mapping[str, Mapping[str, str]]) -> None:
        resources.create_tables(resources.client("dynamodb", url), stack.tables)
        resources.create_keys(resources.client("kms", url), stack.key_aliases)
        resources.put_secrets(resources.client("secretsmanager", url), _SECRET_PREFIX, secrets)

    def environment(self) -> dict[str, str]:
        return {**resources.aws_environment(), "AWS_ENDPOINT_URL": self._moto.endpoint_url}

    def followers(self, stack: Stack, invoke: Invoke, report: Report) -> Mapping[str, Work]:
        return {
            spec.name: partial(
                self._follow, spec, StreamConsumer(spec, partial(invoke, function.logical_id), report)
            )
            for function in stack.functions
            for spec in function.streams
        }

    async def _follow(self, spec: StreamSpec, consumer: StreamConsumer) -> None:
        url = self._moto.endpoint_url
        dynamodb, streams = (resources.client(name, url) for name in ("dynamodb", "dynamodbstreams"))
        stream = await asyncio.to_thread(TableStream, dynamodb, streams, spec.table)
        await follow(stream, spec, consumer, self._moto.forget_read)

    def is_alive(self) -> bool:
        return self._moto.is_alive()

    def close(self) -> None:
        self._moto.stop()


class MemoryBacking:
    """The shipped in-memory stores, shared by all functions; for load and benchmarks.

    There is no stream of DynamoDB items here. Finished generations reach what `usage` does with them in
    batches, off the path of the request.
    """

    name = "this process's memory"

    def __init__(
        self,
        provider_environ: Mapping[str, str],
        start_refresh: RunRefresh,
        start_connections: RunConnections,
    ) -> None:
        self._finished: list[GenerationRecord] = []
        self._catalog = memory.MemoryCatalogStore()
        self._usage = memory.MemoryUsageStore()
        accounts = self._accounts = memory.MemoryAccountStore()
        ledger = memory.MemoryLedger(accounts)
        self.adapters = Adapters(
            catalog=self._catalog,
            accounts=accounts,
            connections=memory.MemoryConnectionStore(audit=accounts),
            vault=memory.MemoryVault(),
            webhooks=memory.MemoryWebhookStore(accounts),
            generations=memory.MemoryGenerationStore(ledger=ledger, on_finish=self._note),
            ledger=ledger,
            secrets=memory.EnvSecretStore(provider_environ),
            starter=memory.MemoryRefreshStarter(start_refresh, start_connections),
            usage=self._usage,
        )

    async def _note(self, record: GenerationRecord) -> None:
        self._finished.append(record)

    async def open(self, stack: Stack, secrets: Mapping[str, Mapping[str, str]]) -> None:
        del stack, secrets

    def environment(self) -> dict[str, str]:
        return resources.aws_environment()

    def followers(self, stack: Stack, invoke: Invoke, report: Report) -> Mapping[str, Work]:
        del invoke, report
        streams = [spec for function in stack.functions for spec in function.streams]
        return {streams[0].name: self._count} if streams else {}

    async def _count(self) -> None:
        recorder = UsageRecorder(self._usage, TrafficRecorder(self._catalog), self._accounts)
        while True:
            await asyncio.sleep(_BATCH_PAUSE_S)
            batch, self._finished[:] = list(self._finished), []
            for first in range(0, len(batch), _SLICE):
                await recorder.record(batch[first : first + _SLICE])
                await asyncio.sleep(0)  # requests that came meanwhile go first

    def is_alive(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing to do: it goes with the process."""


def refresh_payload(providers: Iterable[str] | None, *, force: bool) -> bytes:
    """What the refresh function is started with."""
    named = None if providers is None else list(providers)
    return json.dumps({"providers": named, "force": force}).encode()


def connections_payload(connections: Iterable[tuple[str, str]]) -> bytes:
    """What it is started with for these connections: (user id, connection id)."""
    return json.dumps({"connections": [list(pair) for pair in connections]}).encode()
