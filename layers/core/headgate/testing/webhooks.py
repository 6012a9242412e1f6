"""Users' webhooks in memory."""

from headgate.domain.audit import AuditEvent
from headgate.domain.errors import Conflict
from headgate.domain.webhooks import Webhook
from headgate.testing.audit import MemoryAuditLog
from headgate.testing.faults import Faulty


class MemoryWebhookStore(Faulty):
    """audit: where the events of changes go."""

    def __init__(self, audit: MemoryAuditLog | None = None) -> None:
        super().__init__()
        self.audit = audit or MemoryAuditLog()
        self._rows: dict[tuple[str, str], Webhook] = {}

    async def list_webhooks(self, user_id: str) -> tuple[Webhook, ...]:
        self.check_fault()
        rows = [row for (owner, _), row in self._rows.items() if owner == user_id]
        return tuple(sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True))

    async def create_webhook(self, webhook: Webhook, audit: AuditEvent) -> None:
        self.check_fault()
        stored = self._rows.get((webhook.user_id, webhook.id))
        if stored is not None and stored != webhook:
            raise Conflict("There is a webhook of that id.")
        if self.audit.note(audit):
            self._rows[webhook.user_id, webhook.id] = webhook

    async def replace_webhook(self, webhook: Webhook, audit: AuditEvent) -> None:
        self.check_fault()
        stored = self._rows.get((webhook.user_id, webhook.id))
        if stored == webhook:
            return
        if stored is None or stored.revision != webhook.revision - 1:
            raise Conflict("Someone else changed this webhook. Read it again.")
        if self.audit.note(audit):
            self._rows[webhook.user_id, webhook.id] = webhook

    async def delete_webhook(self, user_id: str, webhook_id: str, audit: AuditEvent) -> bool:
        self.check_fault()
        if (user_id, webhook_id) not in self._rows:
            return False
        if self.audit.note(audit):
            del self._rows[user_id, webhook_id]
        return True
