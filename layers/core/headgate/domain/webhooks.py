"""Where a user wants to be told what happened: standing addresses, each with a secret to sign by. Pure."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from headgate.domain.catalog import ChangeType
from headgate.domain.secret import Secret

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets of Standard Webhooks begin with
SECRET_BYTES = 32
"""Standard Webhooks wants 24 to 64.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (2026-11-21)"""

EVENTS: tuple[str, ...] = (
    *(f"generation.{end}" for end in ("succeeded", "failed", "cancelled", "expired")),
    "batch.completed",
    *(change.value for change in ChangeType),
)
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(f"{name.partition('.')[0]}.*" for name in EVENTS))
"""Each stands for all events that begin so, those to come too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """events: names of EVENTS, or of GROUPS. sealed: the secret's ciphertext.

    previous: that of the secret before, which deliveries are signed by as well until `previous_until`, so
    that a receiver can change over. revision: raised by every change.
    """

    id: str
    user_id: str
    url: str = field(repr=False)
    events: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    sealed: bytes = field(repr=False)
    previous: bytes | None = field(default=None, repr=False)
    previous_until: datetime | None = None
    revision: int = 1

    @property
    def host(self) -> str:
        """All of the address that logs may show: what stands around it may be a secret between the two."""
        try:
            return urlsplit(self.url).netloc.rpartition("@")[2].lower()
        except ValueError:
            return ""

    def wants(self, event: str) -> bool:
        """Whether it is to be told of an event of this name."""
        return event in self.events or f"{event.partition('.')[0]}.*" in self.events

    @property
    def first_event(self) -> str:
        """The first that it asked for; of a group the group's first."""
        name = self.events[0]
        if name not in GROUPS:
            return name
        return next(event for event in EVENTS if event.startswith(name.removesuffix("*")))

    def previous_at(self, now: datetime) -> bytes | None:
        """The secret before, sealed, while deliveries are signed by it as well."""
        if self.previous_until is None or now >= self.previous_until:
            return None
        return self.previous


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """Something that happened, as webhooks are told of it. type: of EVENTS. data: JSON values."""

    type: str
    at: datetime
    data: Mapping[str, Any] = field(repr=False)


def webhook_context(webhook: Webhook) -> dict[str, str]:
    """What the secret's ciphertext is bound to: no other webhook, user or purpose can use it."""
    return {"user": webhook.user_id, "webhook": webhook.id, "purpose": "webhook"}


def secret_text(drawn: bytes) -> Secret:
    """The secret as its receiver configures it: `whsec_` and base64."""
    return Secret(SECRET_PREFIX + base64.b64encode(drawn).decode())


def unknown_events(names: Iterable[str]) -> list[str]:
    """Those that are neither an event nor a group."""
    return [name for name in names if name not in EVENTS and name not in GROUPS]
