"""The public price tables, fetched once a day for all processes, the last good ones kept in the store."""

import asyncio
import gzip
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from headgate.codec import codec_of
from headgate.domain.errors import GatewayFault, HeadgateError, ProviderFailed
from headgate.domain.ids import new_id
from headgate.ports import MAX_TABLE_BYTES, CatalogStore, Clock, HttpTransport, Log, WireRequest
from headgate.services.join_prices import PriceBook
from headgate.services.price_sources import (
    SELLERS,
    PriceRow,
    Reader,
    UnreadableTable,
    read_genai_prices,
    read_models_dev,
)
from headgate.settings import Settings

FORMAT = 1
"""Raised when rows are read in another way: what older code has kept is then fetched anew."""

FETCH_EVERY = timedelta(hours=24)
TRY_AGAIN_AFTER = timedelta(hours=1)
MAX_FETCHED_BYTES = 16_000_000
"""Several times the larger table of 2026."""
_LEASE_S = 60.0
_CONNECT_TIMEOUT_S = 3.0
_SILENCE_S = 10.0
_TOTAL_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """One table as it is kept. fetched_at: when its source last confirmed it. due_at: when to ask again.

    changes_at: when the same bytes would give other rows, so that "not modified" is no answer.
    """

    name: str
    url: str
    due_at: datetime
    format: int = FORMAT
    etag: str | None = None
    fetched_at: datetime | None = None
    changes_at: datetime | None = None
    rows: tuple[PriceRow, ...] = ()


@dataclass(frozen=True, slots=True)
class _Source:
    name: str
    url: str
    read: Reader


class PriceTables:
    """Gives the book that all tables make. Never fails: without any table the book is empty.

    For one event loop. Of many processes one fetches; the others use what is kept, or what they have.
    """

    def __init__(
        self,
        *,
        store: CatalogStore,
        transport: HttpTransport,
        clock: Clock,
        log: Log,
        settings: Settings,
    ) -> None:
        self._store = store
        self._transport = transport
        self._clock = clock
        self._log = log
        self._sources = [
            _Source(name, url, read)
            for name, url, read in (
                ("models.dev", settings.models_dev_url, read_models_dev),
                ("genai-prices", settings.genai_prices_url, read_genai_prices),
            )
            if url
        ]
        self._tables: dict[str, PriceTable] = {}
        self._book = PriceBook()
        self._lock = asyncio.Lock()

    async def book(self, providers: Iterable[str]) -> PriceBook:
        """What the tables say; fetches those that are due, if they speak of any of these providers at all."""
        if not self._sources or not any(slug in SELLERS for slug in providers):
            return self._book
        async with self._lock:
            due = [source for source in self._sources if not self._has(source)]
            if due:
                self._tell(await asyncio.gather(*(self._renew(source) for source in due)))
                tables = [self._tables[s.name] for s in self._sources if s.name in self._tables]
                self._book = PriceBook([(each.name, each.fetched_at, each.rows) for each in tables])
            return self._book

    def _has(self, source: _Source) -> bool:
        table = self._tables.get(source.name)
        return table is not None and table.url == source.url and self._clock.now() < table.due_at

    async def _renew(self, source: _Source) -> str | None:
        """Reads what is kept, and fetches it if that is due; says which could not be had and why."""
        try:
            await self._read_kept(source)
            if self._has(source):
                return None
            owner, lease = new_id("req"), f"table#{source.name}"
            if not await self._store.acquire_lease(lease, owner, _LEASE_S):
                return None  # another process is at it
            try:
                return await self._fetch_and_keep(source)
            finally:
                await self._store.release_lease(lease, owner)
        except GatewayFault as fault:
            return f"{source.name}: {fault.code}"

    async def _read_kept(self, source: _Source) -> None:
        kept = await self._store.read_table(source.name)
        table = None if kept is None else _unpack(kept)
        if table is not None and table.url == source.url:
            self._tables[source.name] = table

    async def _fetch_and_keep(self, source: _Source) -> str | None:
        now = self._clock.now()
        before = self._tables.get(source.name)
        if before is None or before.url != source.url:
            before = PriceTable(name=source.name, url=source.url, due_at=now)
        failure: str | None = None
        try:
            table = await self._fetch(source, before)
        except (HeadgateError, UnreadableTable) as error:
            table = replace(before, due_at=now + TRY_AGAIN_AFTER)
            code = error.code if isinstance(error, HeadgateError) else "provider_protocol"
            failure = f"{source.name}: {code}"
        self._tables[source.name] = table
        packed = _pack(table)
        if len(packed) > MAX_TABLE_BYTES:
            self._log.warning("price_tables.too_large", table=source.name, size=len(packed))
        else:
            await self._store.write_table(source.name, packed)
        return failure

    async def _fetch(self, source: _Source, before: PriceTable) -> PriceTable:
        """Raises HeadgateError or UnreadableTable."""
        now = self._clock.now()
        headers = {"accept": "application/json"}
        if before.etag is not None and before.rows and not _outdated(before, now):
            headers["if-none-match"] = before.etag
        response = await self._transport.send(_request(source.url, headers))
        try:
            if response.status == 304 and "if-none-match" in headers:
                return replace(before, fetched_at=now, due_at=now + FETCH_EVERY)
            if response.status != 200:
                raise ProviderFailed(f"It answered {response.status}.")
            body = bytearray()
            async for chunk in response.chunks():
                body += chunk
                if len(body) > MAX_FETCHED_BYTES:
                    raise UnreadableTable("too large")
        finally:
            await response.close()
        read = source.read(bytes(body), now)
        return replace(
            before,
            etag=response.headers.get("etag"),
            fetched_at=now,
            due_at=now + FETCH_EVERY,
            changes_at=read.changes_at,
            rows=read.rows,
        )

    def _tell(self, failures: Iterable[str | None]) -> None:
        """One line for all: whoever runs this without a network knows it already."""
        told = [failure for failure in failures if failure is not None]
        if told:
            self._log.warning("price_tables.unavailable", tables=told)


def _request(url: str, headers: dict[str, str]) -> WireRequest:
    return WireRequest(
        method="GET",
        url=url,
        headers=headers,
        idempotent=True,
        connect_timeout_s=_CONNECT_TIMEOUT_S,
        first_byte_timeout_s=_SILENCE_S,
        idle_timeout_s=_SILENCE_S,
        total_timeout_s=_TOTAL_TIMEOUT_S,
    )


def _outdated(table: PriceTable, now: datetime) -> bool:
    return table.changes_at is not None and table.changes_at <= now


def _pack(table: PriceTable) -> bytes:
    return gzip.compress(codec_of(PriceTable).dump(table), 6, mtime=0)


def _unpack(kept: bytes) -> PriceTable | None:
    """None for what this code can't use."""
    try:
        table = codec_of(PriceTable).load(gzip.decompress(kept))
    except (OSError, EOFError, zlib.error, ValueError):
        return None
    return table if table.format == FORMAT else None
