"""Keys, projects, settings, overrides, flags; and the log of who changed them.

Every change takes the `AuditEvent` that tells of it, and both are written together or neither is. Once an
event of that id is stored its change was made, whatever has become of it since: sent again, it does nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from headgate.domain.accounts import Flag, ModelOverride, Project, ProviderSettings
from headgate.domain.admission import Answer
from headgate.domain.audit import AuditEvent
from headgate.domain.callers import ApiKey


class KeyStore(Protocol):
    """API keys, by the hash of their text."""

    async def get_key(self, key_hash: str) -> ApiKey | None:
        """A text that was replaced finds `ApiKey.previous`, whether its grace is over or not."""
        ...

    async def put_key(
        self, key: ApiKey, audit: AuditEvent | None = None, *, was: ApiKey | None = None
    ) -> None:
        """Creates or replaces; hashes that the id had and `key` doesn't name find nothing any more.

        Raises Conflict when `was` is given, and the key of that id is no longer that.
        """
        ...

    async def get_key_by_id(self, key_id: str) -> ApiKey | None: ...

    async def list_keys(
        self, *, user_id: str | None, limit: int, cursor: str | None
    ) -> tuple[list[ApiKey], str | None]:
        """Newest first; of all users when `user_id` is None. The second value is the next cursor."""
        ...


class ProjectStore(Protocol):
    async def get_project(self, project_id: str) -> Project | None: ...

    async def put_project(self, project: Project, audit: AuditEvent) -> None:
        """Creates or replaces."""
        ...

    async def delete_project(self, project_id: str, audit: AuditEvent) -> bool:
        """False when there was none. Its settings go too, or the next project of that id would have them."""
        ...


class SettingsStore(Protocol):
    """`owner` is a user's id or a project's: `user:<id>`, `project:<id>`."""

    async def get_settings(self, owner: str) -> ProviderSettings | None: ...

    async def put_settings(self, owner: str, settings: ProviderSettings, audit: AuditEvent) -> None: ...


class OverrideStore(Protocol):
    async def read_overrides(self) -> Mapping[str, ModelOverride]:
        """All of them, by model id, in one read."""
        ...

    async def put_override(
        self, override: ModelOverride, audit: AuditEvent, *, was: ModelOverride | None
    ) -> None:
        """Replaces what was read, or creates where nothing was.

        Raises Conflict when what is stored is no longer `was`.
        """
        ...

    async def delete_override(self, model_id: str, audit: AuditEvent) -> bool:
        """False when there was none."""
        ...


class FlagStore(Protocol):
    async def read_flags(self) -> Mapping[str, Flag]:
        """All of them, by name, in one read."""
        ...

    async def put_flag(self, flag: Flag, audit: AuditEvent) -> None: ...


class AuditLog(Protocol):
    """Append-only: there is no way to alter or remove an event."""

    async def append_audit(self, events: Sequence[AuditEvent]) -> None:
        """For acts that change no item of ours: a key that was used, a secret that was decrypted."""
        ...

    async def read_audit(self, *, after: str | None, limit: int) -> list[AuditEvent]:
        """Events with an id above `after`, oldest first.

        Raises InvalidRequest naming `after` when that is no event's id.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A request under an idempotency key that creates something, as stored.

    seed: 32 random bytes in hex, drawn when the key was first seen: whatever the request makes (ids, secrets)
    follows from it, so doing it again after a crash makes the same. answer: None until it is done.
    presenter: tells the API key's text that asked for a secret from other texts, and nothing else of it; None
    where no secret is made.
    """

    fingerprint: str
    seed: str
    expires_at: datetime
    answer: Answer | None = None
    presenter: str | None = None


class OnceStore(Protocol):
    """Idempotency keys of requests that create something other than a generation."""

    async def begin_once(self, name: str, begun: Begun) -> Begun:
        """Stores `begun` unless an unexpired one has this name; returns what then is stored."""
        ...

    async def finish_once(self, name: str, begun: Begun) -> None:
        """Keeps it with its answer."""
        ...


class AccountStore(
    KeyStore, ProjectStore, SettingsStore, OverrideStore, FlagStore, AuditLog, OnceStore, Protocol
):
    """The accounts table."""
