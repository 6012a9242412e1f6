"""Users' webhooks in DynamoDB. Keys, consistency and costs: docs/data-model.md."""

from dataclasses import replace
from typing import Any

from headgate.aws.audit import AuditTrail, was_made
from headgate.aws.clients import AwsClients
from headgate.aws.codec import body_of, bytes_of, from_body
from headgate.aws.dynamodb import Item, Table, Value, When
from headgate.aws.faults import TransactionCancelled, reading
from headgate.domain.audit import AuditEvent
from headgate.domain.errors import Conflict, GatewayFault
from headgate.domain.webhooks import Webhook

_WHK = "WHK#"
_TRIES = 6


class DynamoWebhookStore:
    """`table` is the connections table's name, `accounts_table` where audit events go."""

    def __init__(self, clients: AwsClients, table: str, accounts_table: str) -> None:
        self._clients = clients
        self._table = Table(clients, table)
        self._trail = AuditTrail(Table(clients, accounts_table))

    async def list_webhooks(self, user_id: str) -> tuple[Webhook, ...]:
        keys = When("#pk = :pk AND begins_with(#sk, :whk)", {"pk": _user_pk(user_id), "whk": _WHK})
        with reading("A webhook"):
            rows = [_webhook_of(item) async for item in self._table.query(keys, ConsistentRead=True)]
        return tuple(sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True))

    async def create_webhook(self, webhook: Webhook, audit: AuditEvent) -> None:
        new = When("attribute_not_exists(#pk)")
        if not await self._happened(self._table.putting(_item_of(webhook), when=new), audit):
            await self._expect(webhook, "There is a webhook of that id.")

    async def replace_webhook(self, webhook: Webhook, audit: AuditEvent) -> None:
        still = When("#revision = :before", {"before": webhook.revision - 1})
        if not await self._happened(self._table.putting(_item_of(webhook), when=still), audit):
            await self._expect(webhook, "Someone else changed this webhook. Read it again.")

    async def delete_webhook(self, user_id: str, webhook_id: str, audit: AuditEvent) -> bool:
        there = When("attribute_exists(#pk)")
        action = self._table.deleting(_user_pk(user_id), _WHK + webhook_id, when=there)
        return await self._happened(action, audit)

    async def _expect(self, webhook: Webhook, otherwise: str) -> None:
        """The SDK sends again when an answer is lost: then this very webhook is there already."""
        if webhook not in await self.list_webhooks(webhook.user_id):
            raise Conflict(otherwise)

    async def _happened(self, action: dict[str, Any], audit: AuditEvent) -> bool:
        """Does it with its event. False when the action's condition did not hold."""
        told = await self._trail.putting(audit)
        for tries in range(_TRIES):
            try:
                await self._table.transact(action, told)
            except TransactionCancelled as cancelled:
                if was_made(cancelled):
                    return True
                if cancelled.failed_condition(0) is not None:
                    return False
                if not cancelled.is_passing:
                    raise GatewayFault("The store refused to keep a webhook") from cancelled
                await self._clients.pause(tries)
            else:
                return True
        raise GatewayFault.unavailable("The store")


def _user_pk(user_id: str) -> str:
    return f"USER#{user_id}"


def _item_of(webhook: Webhook) -> dict[str, Value | None]:
    return {
        "pk": _user_pk(webhook.user_id),
        "sk": _WHK + webhook.id,
        "revision": webhook.revision,
        "sealed": webhook.sealed,
        "previous": webhook.previous,
        "body": body_of(replace(webhook, sealed=b"", previous=None)),
    }


def _webhook_of(item: Item) -> Webhook:
    previous = bytes_of(item, "previous") if "previous" in item else None
    return replace(from_body(Webhook, item), sealed=bytes_of(item, "sealed"), previous=previous)
