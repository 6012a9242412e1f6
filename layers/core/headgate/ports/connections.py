"""Users' own connections, and the vault in which their keys are sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from headgate.domain.audit import AuditEvent
from headgate.domain.catalog import ModelInfo
from headgate.domain.connections import Connection, UserConnections
from headgate.domain.secret import Secret
from headgate.ports.accounts import OnceStore


class Unsealable(Exception):
    """A ciphertext that can't be opened: sealed for another row, purpose or host, or not by this vault."""


class KeyVault(Protocol):
    """Seals secrets of at most 4,096 bytes. A function may hold the right to seal without that to unseal."""

    async def seal(self, secret: Secret, context: Mapping[str, str]) -> bytes:
        """Ciphertext that only `unseal` with an equal context opens."""
        ...

    async def unseal(self, sealed: bytes, context: Mapping[str, str]) -> Secret:
        """Raises Unsealable when it was sealed with another context, or is no ciphertext of this vault."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionModels:
    """What a connection's own key sees. error: why the last look at it failed; `models` are then older."""

    connection_id: str
    version: str
    checked_at: datetime
    models: tuple[ModelInfo, ...] = ()
    error: str | None = None


class ConnectionStore(OnceStore, Protocol):
    """Every change is made on the revision that was read, together with its audit event, or not at all."""

    async def load(self, user_id: str) -> UserConnections:
        """All of a user's, those deleted too, newest first; read strongly."""
        ...

    async def create(self, connection: Connection, audit: AuditEvent) -> None:
        """The first active one of a user becomes the default in the same write.

        Raises Conflict when there is another of that id (an equal one is fine: the write was sent twice).
        """
        ...

    async def replace(self, connection: Connection, audit: AuditEvent) -> None:
        """Stores it if the stored revision is one less, and keeps the default right in the same write.

        Taken from one that stops being active, the default goes to the newest active one; one that becomes
        active takes it only if there is none.

        `needs_attention` is not taken from it: what is stored stays while key and address do, and else goes.

        Raises Conflict when someone else was quicker.
        """
        ...

    async def set_default(self, user_id: str, connection_id: str, audit: AuditEvent) -> None:
        """Raises NotFound when it is not there, Conflict when it is not active."""
        ...

    async def note_attention(
        self, user_id: str, connection_id: str, *, sealed: bytes | None, reason: str | None
    ) -> None:
        """Marks (or with None unmarks) a connection, unless its key is no longer that one."""
        ...

    async def read_lists(self, connections: Sequence[Connection]) -> Mapping[str, ConnectionModels]:
        """What is stored of these connections' models, by connection id."""
        ...

    async def write_list(self, connection: Connection, models: ConnectionModels) -> None:
        """Keeps it in place of the last one, unless the connection's key or address changed meanwhile."""
        ...
