"""What connections' own keys see, in DynamoDB: a head for each key and address, and its gzipped pieces."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from headgate.aws.clients import AwsClients
from headgate.aws.codec import body_of, bytes_of, from_body, number_of, pack_models, text_of, unpack_models
from headgate.aws.dynamodb import Item, Table, When
from headgate.aws.faults import reading
from headgate.domain.catalog import ModelInfo
from headgate.domain.connections import Connection, access_tag
from headgate.domain.errors import GatewayFault
from headgate.ports import Clock, ConnectionModels

LISTS_KEPT_S = 25 * 3600
_KEPT_IN_MEMORY = 32
_LIST = "LIST#"


class StoredLists:
    """`table` is the connections table's name.

    All heads of a user lie beside each other, so that one query finds them. A list belongs to the key and
    address it was asked with: it stands under their tag, so that a connection whose key was changed meanwhile
    never shows what another key sees, whoever writes last.
    """

    def __init__(self, clients: AwsClients, table: str, clock: Clock) -> None:
        self._clients = clients
        self._table = Table(clients, table)
        self._clock = clock
        self._unpacked: OrderedDict[tuple[str, str], tuple[ModelInfo, ...]] = OrderedDict()

    async def read(self, connections: Sequence[Connection]) -> Mapping[str, ConnectionModels]:
        """By connection id; those that there is nothing of are missing."""
        asked = {f"{_LIST}{each.id}#{access_tag(each)}": each for each in connections}
        now_s = self._clock.now().timestamp()
        found: dict[str, ConnectionModels] = {}
        with reading("A connection's list"):
            for user_id in {each.user_id for each in connections}:
                keys = When("#pk = :pk AND begins_with(#sk, :list)", {"pk": _user_pk(user_id), "list": _LIST})
                heads = [item async for item in self._table.query(keys, ConsistentRead=True)]
                for head in heads:
                    owner = asked.get(text_of(head, "sk"))
                    if owner is None or owner.user_id != user_id or number_of(head, "expires_at") <= now_s:
                        continue
                    models = await self._models(owner, head)
                    found[owner.id] = replace(from_body(ConnectionModels, head), models=models)
        return found

    async def write(self, connection: Connection, models: ConnectionModels) -> None:
        """Pieces first, named by what is in them: a head never names pieces that are not there."""
        pieces = await self._clients.run(pack_models, models.models)
        name = hashlib.sha256(b"".join(pieces)).hexdigest()[:16]
        pk, tag = _pieces_pk(connection), access_tag(connection)
        expires_at = int(models.checked_at.timestamp()) + LISTS_KEPT_S
        await self._table.put_many(
            {"pk": pk, "sk": f"{tag}#{name}#{at:04d}", "data": piece, "expires_at": expires_at}
            for at, piece in enumerate(pieces, start=1)
        )
        await self._table.put(
            {
                "pk": _user_pk(connection.user_id),
                "sk": f"{_LIST}{connection.id}#{tag}",
                "pieces": name,
                "of": len(pieces),
                "body": body_of(replace(models, models=())),
                "expires_at": expires_at,
            }
        )

    async def _models(self, connection: Connection, head: Item) -> tuple[ModelInfo, ...]:
        pk, tag = _pieces_pk(connection), access_tag(connection)
        name = text_of(head, "pieces")
        kept = self._unpacked.get((pk, name))
        if kept is None:
            keys = When("#pk = :pk AND begins_with(#sk, :set)", {"pk": pk, "set": f"{tag}#{name}#"})
            query = self._table.query(keys, ConsistentRead=True)
            pieces = [bytes_of(item, "data") async for item in query]
            if len(pieces) != number_of(head, "of"):
                raise GatewayFault.unavailable("A connection's list")
            kept = self._unpacked[pk, name] = await self._clients.run(unpack_models, pieces)
            while len(self._unpacked) > _KEPT_IN_MEMORY:
                self._unpacked.popitem(last=False)
        else:
            self._unpacked.move_to_end((pk, name))
        return kept


def _user_pk(user_id: str) -> str:
    return f"USER#{user_id}"


def _pieces_pk(connection: Connection) -> str:
    return f"LIST#{connection.user_id}#{connection.id}"
