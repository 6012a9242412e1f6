"""Users' webhooks."""

from typing import Protocol

from headgate.domain.audit import AuditEvent
from headgate.domain.webhooks import Webhook


class WebhookStore(Protocol):
    """Every change is written together with its audit event, or neither is."""

    async def list_webhooks(self, user_id: str) -> tuple[Webhook, ...]:
        """All of a user's, newest first; read strongly."""
        ...

    async def create_webhook(self, webhook: Webhook, audit: AuditEvent) -> None:
        """Raises Conflict when there is another of that id; an equal one is fine."""
        ...

    async def replace_webhook(self, webhook: Webhook, audit: AuditEvent) -> None:
        """Stores it if the stored revision is one less. Raises Conflict when someone else was quicker."""
        ...

    async def delete_webhook(self, user_id: str, webhook_id: str, audit: AuditEvent) -> bool:
        """False when there was none."""
        ...
