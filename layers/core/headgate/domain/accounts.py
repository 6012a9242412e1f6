"""What users and administrators set: projects, settings, overrides, flags. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headgate.domain.catalog import Modality, Pricing


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """owner_user_id, settings_user_id: whose connections and settings serve its requests, the latter first.
    members: who may use it beside these two."""

    id: str
    owner_user_id: str
    created_at: datetime
    updated_at: datetime
    settings_user_id: str | None = None
    members: tuple[str, ...] = ()

    def has(self, user_id: str) -> bool:
        """Whether this user is in it."""
        return user_id in (self.owner_user_id, self.settings_user_id, *self.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """What a user, or a project, wants used where a request names nothing. Keys are modalities.

    connections: ids of connections; connection_owners: the user of each of those ids (a project's settings
    may name a connection of the member who wrote them).
    """

    default_models: Mapping[str, str] = field(default_factory=dict)
    providers: Mapping[str, str] = field(default_factory=dict)
    connections: Mapping[str, str] = field(default_factory=dict)
    connection_owners: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOverride:
    """What an administrator says of one model; None leaves what its provider says."""

    model_id: str
    updated_at: datetime
    updated_by: str
    enabled: bool | None = None
    modality: Modality | None = None
    price: Pricing | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A feature flag, in the schema of Powertools' feature flags: `{"default": bool, "rules": {…}}`.

    updated_at, updated_by: None for one that nobody has set yet.
    """

    name: str
    schema: Mapping[str, Any]
    updated_at: datetime | None = None
    updated_by: str | None = None
