"""The catalogue in DynamoDB. Keys, consistency and costs: docs/data-model.md."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta

from headgate.aws.clients import AwsClients
from headgate.aws.codec import (
    body_of,
    bytes_of,
    from_body,
    head_of,
    number_of,
    pack_models,
    text_of,
    unpack_models,
)
from headgate.aws.dynamodb import Item, Table, Value, When, from_wire, happened
from headgate.aws.faults import ConditionFailed, reading
from headgate.domain.catalog import ChangeEvent, ModelInfo, Snapshot, SnapshotHead
from headgate.domain.errors import GatewayFault
from headgate.domain.health import LATENCY_BOUNDS_MS, ProviderHealth, TrafficWindow
from headgate.ports import MAX_TABLE_BYTES, Clock

REPLACED_PIECES_KEPT = timedelta(hours=2)
CHANGES_KEPT = timedelta(days=30)
TRAFFIC_KEPT_S = 26 * 3600
LEASES_KEPT_S = 24 * 3600

_HEAD, _LEASE, _HEALTH, _CHANGES, _TABLE = "HEAD", "LEASE", "HEALTH", "CHANGES", "TABLE"
_BUCKETS = tuple(f"b{index}" for index in range(len(LATENCY_BOUNDS_MS) + 1))


class DynamoCatalogStore:
    """`table` is the catalogue table's name."""

    def __init__(self, clients: AwsClients, table: str, clock: Clock) -> None:
        self._clients = clients
        self._table = Table(clients, table)
        self._clock = clock

    async def read_heads(self) -> Mapping[str, SnapshotHead]:
        with reading("The catalogue"):
            query = self._table.query(_all_of(_HEAD), ConsistentRead=True)
            return {str(item["sk"]): head_of(item) async for item in query}

    async def read_models(self, head: SnapshotHead) -> tuple[ModelInfo, ...]:
        if head.version is None:
            return ()
        what = f"The list of {head.provider}"
        with reading(what):
            pieces = await self._pieces(head.provider, head.version, consistent=False)
            # Just written, a piece may not yet have reached the replica that was asked.
            pieces = pieces or await self._pieces(head.provider, head.version, consistent=True)
            if not pieces:
                raise GatewayFault.unavailable(what)
            return await self._clients.run(unpack_models, pieces)

    async def write_snapshot(self, snapshot: Snapshot, *, replaces: str | None) -> bool:
        head = snapshot.head
        name = secrets.token_hex(6)
        pieces = [] if head.version is None else await self._clients.run(pack_models, snapshot.models)
        await self._table.put_many(
            {
                "pk": _pieces_pk(head.provider, str(head.version)),
                "sk": _piece_sk(at),
                "data": data,
                "of": len(pieces),
                "pieces": name,
            }
            for at, data in enumerate(pieces, start=1)
        )
        item: dict[str, Value | None] = {
            "pk": _HEAD,
            "sk": head.provider,
            "version": head.version,
            "chunks": len(pieces),
            "pieces": name,
            "body": body_of(head),
        }
        try:
            before = await self._table.put(item, when=_at_version(replaces), old=True)
        except ConditionFailed as lost:
            current = from_wire(lost.item or {})
            if current.get("pieces") == name:  # the SDK sent this write again when its answer was lost
                return True
            if current.get("version") != head.version:  # else the pieces are what the winner's head points to
                await self._retire(
                    head.provider, {key: value for key, value in item.items() if value is not None}
                )
            return False
        await self._retire(head.provider, before)
        return True

    async def write_head(self, head: SnapshotHead) -> None:
        same = _at_version(head.version)
        when = When(f"attribute_exists(#pk) AND {same.text}", same.values)
        change = "SET #body = :body"
        await happened(self._table.update((_HEAD, head.provider), change, {"body": body_of(head)}, when=when))

    async def delete_provider(self, provider: str) -> None:
        await self._retire(provider, await self._table.delete(_HEAD, provider))

    async def acquire_lease(self, name: str, owner: str, ttl_s: float) -> bool:
        now_s = self._clock.now().timestamp()
        until_s = now_s + ttl_s
        # "or it is ours": the SDK sends again when an answer is lost, which must not lose the lease.
        when = When(
            "attribute_not_exists(#pk) OR #lease_until <= :now OR #owner = :owner",
            {"now": now_s, "owner": owner},
        )
        lease: dict[str, Value | None] = {
            "pk": _LEASE,
            "sk": name,
            "owner": owner,
            "lease_until": until_s,
            "expires_at": int(until_s) + LEASES_KEPT_S,
        }
        return await happened(self._table.put(lease, when=when))

    async def release_lease(self, name: str, owner: str) -> None:
        await happened(self._table.delete(_LEASE, name, when=When("#owner = :owner", {"owner": owner})))

    async def append_changes(self, events: Sequence[ChangeEvent]) -> None:
        await self._table.put_many(
            {
                "pk": _CHANGES,
                "sk": event.id,
                "body": body_of(event),
                "expires_at": int((event.at + CHANGES_KEPT).timestamp()),
            }
            for event in events
        )

    async def read_changes(self, *, after: str | None, limit: int) -> list[ChangeEvent]:
        keys = _all_of(_CHANGES)
        if after is not None:
            keys = When("#pk = :pk AND #sk > :after", {**keys.values, "after": after})
        live = When("#expires_at > :now", {"now": self._clock.now().timestamp()})
        events: list[ChangeEvent] = []
        with reading("The feed of changes"):
            async for item in self._table.query(keys, only=live, Limit=limit):
                events.append(from_body(ChangeEvent, item))
                if len(events) == limit:
                    break
        return events

    async def write_health(self, health: ProviderHealth) -> None:
        await self._table.put({"pk": _HEALTH, "sk": health.provider, "body": body_of(health)})

    async def read_health(self) -> Mapping[str, ProviderHealth]:
        with reading("The providers' health"):
            query = self._table.query(_all_of(_HEALTH))
            return {str(item["sk"]): from_body(ProviderHealth, item) async for item in query}

    async def add_traffic(self, provider: str, minute: int, window: TrafficWindow) -> None:
        counts = dict(zip(_BUCKETS, window.latency_buckets, strict=False))
        added = {"calls": window.calls, "failures": window.failures}
        added |= {name: count for name, count in counts.items() if count}
        change = "SET #expires_at = :expires_at ADD " + ", ".join(f"#{name} :{name}" for name in added)
        await self._table.update(
            (_traffic_pk(provider), _minute_sk(minute)),
            change,
            {**added, "expires_at": minute * 60 + TRAFFIC_KEPT_S},
        )

    async def read_traffic(self, provider: str, *, since_minute: int) -> Mapping[int, TrafficWindow]:
        keys = When(
            "#pk = :pk AND #sk >= :since", {"pk": _traffic_pk(provider), "since": _minute_sk(since_minute)}
        )
        with reading("The providers' traffic"):
            return {int(str(item["sk"])): _window_of(item) async for item in self._table.query(keys)}

    async def read_table(self, name: str) -> bytes | None:
        keys = When("#pk = :pk AND #sk = :sk", {"pk": _TABLE, "sk": name})
        with reading(f"The table {name}"):
            found = [bytes_of(item, "data") async for item in self._table.query(keys)]
        return found[0] if found else None

    async def write_table(self, name: str, data: bytes) -> None:
        if len(data) > MAX_TABLE_BYTES:
            raise ValueError(f"{name}: {len(data)} bytes are too many for one item")
        await self._table.put({"pk": _TABLE, "sk": name, "data": data})

    async def _pieces(self, provider: str, version: str, *, consistent: bool) -> list[bytes]:
        """The pieces of one whole set, or nothing: another writer of this version may be under way."""
        now_s = self._clock.now().timestamp()
        sets: dict[str, list[Item]] = {}
        keys = _all_of(_pieces_pk(provider, version))
        async for item in self._table.query(keys, ConsistentRead=consistent):
            if number_of(item, "expires_at", 2**62) > now_s:
                sets.setdefault(text_of(item, "pieces"), []).append(item)
        for items in sets.values():
            if len(items) == number_of(items[0], "of"):
                return [bytes_of(item, "data") for item in items]
        return []

    async def _retire(self, provider: str, head: Item) -> None:
        """Gives the pieces which this head item points to an end date."""
        if "version" not in head:
            return
        gone_at = int((self._clock.now() + REPLACED_PIECES_KEPT).timestamp())
        when = When("#pieces = :pieces", {"pieces": head["pieces"]})
        pk = _pieces_pk(provider, str(head["version"]))
        writes = [
            happened(
                self._table.update(
                    (pk, _piece_sk(at)), "SET #expires_at = :gone_at", {"gone_at": gone_at}, when=when
                )
            )
            for at in range(1, number_of(head, "chunks") + 1)
        ]
        # The head is switched, which counts: pieces that keep no end date cost storage, no more.
        for outcome in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, GatewayFault):
                raise outcome


def _all_of(pk: str) -> When:
    return When("#pk = :pk", {"pk": pk})


def _at_version(version: str | None) -> When:
    if version is None:
        return When("attribute_not_exists(#version)")
    return When("#version = :version", {"version": version})


def _pieces_pk(provider: str, version: str) -> str:
    return f"SNAP#{provider}#{version}"


def _piece_sk(at: int) -> str:
    return f"{at:04d}"


def _traffic_pk(provider: str) -> str:
    return f"TRAFFIC#{provider}"


def _minute_sk(minute: int) -> str:
    return f"{minute:010d}"


def _window_of(item: Item) -> TrafficWindow:
    return TrafficWindow(
        calls=number_of(item, "calls"),
        failures=number_of(item, "failures"),
        latency_buckets=tuple(number_of(item, name) for name in _BUCKETS),
    )
